/// `&amp;`, `&#8217;` and their like.
enum HTMLEntities {
    private static let names: [String: String] = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": "\u{A0}", "copy": "©", "reg": "®",
        "trade": "™", "hellip": "…", "mdash": "—", "ndash": "–", "lsquo": "‘", "rsquo": "’", "ldquo": "“", "rdquo": "”",
        "sbquo": "‚", "bdquo": "„", "laquo": "«", "raquo": "»", "bull": "•", "middot": "·", "times": "×", "deg": "°",
        "euro": "€", "pound": "£", "yen": "¥", "sect": "§", "para": "¶", "shy": "", "zwnj": "\u{200C}",
        "zwj": "\u{200D}", "auml": "ä", "ouml": "ö", "uuml": "ü", "Auml": "Ä", "Ouml": "Ö", "Uuml": "Ü", "szlig": "ß",
        "eacute": "é", "egrave": "è", "ecirc": "ê", "agrave": "à", "aacute": "á", "acirc": "â", "ccedil": "ç",
        "iacute": "í", "oacute": "ó", "ocirc": "ô", "uacute": "ú", "ugrave": "ù", "ntilde": "ñ", "aring": "å",
        "oslash": "ø", "aelig": "æ",
    ]
    private static let maximumLength = 10

    /// Text without entities; those that are not known stay as they are.
    static func decode(_ bytes: ArraySlice<UInt8>) -> String {
        guard bytes.contains(UInt8(ascii: "&")) else { return String(decoding: bytes, as: UTF8.self) }
        var result: [UInt8] = []
        var rest = bytes
        while let mark = rest.firstIndex(of: UInt8(ascii: "&")) {
            result += rest[..<mark]
            let name = rest[(mark + 1)...].prefix(maximumLength).prefix { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "#"):
                    true
                default: false
                }
            }
            guard let text = meaning(String(decoding: name, as: UTF8.self)) else {
                result.append(UInt8(ascii: "&"))
                rest = rest[(mark + 1)...]
                continue
            }
            result += Array(text.utf8)
            rest = rest[name.endIndex...]
            if rest.first == UInt8(ascii: ";") { rest = rest.dropFirst() }
        }
        return String(decoding: result + rest, as: UTF8.self)
    }

    private static func meaning(_ name: String) -> String? {
        guard name.hasPrefix("#") else { return names[name] }
        let digits = name.dropFirst()
        let number =
            digits.hasPrefix("x") || digits.hasPrefix("X") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
        guard let number else { return nil }
        // 0 and what is no letter become the sign for that.
        return String(UnicodeScalar(number == 0 ? 0xFFFD : number) ?? "\u{FFFD}")
    }
}
