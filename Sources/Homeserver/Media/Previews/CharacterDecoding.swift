private import Glibc
internal import HTTPMessages

/// Brings a page to UTF-8, by what it says of itself. What cannot be read becomes U+FFFD; nothing fails.
/// See <https://html.spec.whatwg.org/multipage/parsing.html#determining-the-character-encoding>
enum CharacterDecoding {
    /// - Parameter contentType: the header that came with it.
    static func utf8(_ bytes: [UInt8], contentType: String) -> [UInt8] {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return repaired(bytes.dropFirst(3)) }
        if bytes.starts(with: [0xFF, 0xFE]) { return converted(bytes.dropFirst(2), from: "UTF-16LE") }
        if bytes.starts(with: [0xFE, 0xFF]) { return converted(bytes.dropFirst(2), from: "UTF-16BE") }
        let announced = HeaderParameters.parse(contentType).parameters.first { $0.name == "charset" }?.value
        switch announced.flatMap(name) ?? named(in: bytes.prefix(1024)).flatMap(name) {
        case "UTF-8"?: return repaired(bytes[...])
        case let name?: return converted(bytes[...], from: name)
        case nil:
            if String(validating: bytes, as: UTF8.self) != nil { return bytes }
            return converted(bytes[...], from: "CP1252")
        }
    }

    /// The encoding that a `<meta>` near the start names.
    private static func named(in bytes: ArraySlice<UInt8>) -> String? {
        let text = String(decoding: bytes, as: UTF8.self).lowercased()
        guard let mark = text.firstRange(of: "charset=") else { return nil }
        let name = text[mark.upperBound...].drop { $0 == "\"" || $0 == "'" || $0 == " " }
            .prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        // A page whose start can be read as this is not UTF-16.
        return name.hasPrefix("utf-16") ? "utf-8" : String(name.prefix(32))
    }

    /// The converter's name of a label. Only those that pages still use: the others' converters are little tried.
    private static func name(_ label: String) -> String? {
        let label = label.lowercased()
        switch label {
        case "utf-8", "utf8": return "UTF-8"
        case "iso-8859-1", "latin1", "us-ascii", "ascii", "windows-1252", "cp1252": return "CP1252"
        case "utf-16", "utf-16le": return "UTF-16LE"
        case "utf-16be": return "UTF-16BE"
        case "gb2312", "gbk", "gb18030", "x-gbk": return "GB18030"
        case "big5", "big5-hkscs": return "BIG5-HKSCS"
        case "shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j": return "CP932"
        case "euc-jp", "x-euc-jp": return "EUC-JP"
        case "euc-kr", "ks_c_5601-1987", "windows-949": return "CP949"
        case "koi8-r": return "KOI8-R"
        case "koi8-u": return "KOI8-U"
        case "tis-620", "windows-874": return "CP874"
        default: break
        }
        if label.hasPrefix("windows-125"), let digit = label.last, digit.isNumber, label.utf8.count == 12 {
            return "CP125\(digit)"
        }
        if label.hasPrefix("iso-8859-"), let part = Int(label.dropFirst(9)), (2...16).contains(part), part != 12 {
            return "ISO-8859-\(part)"
        }
        return nil
    }

    private static func repaired(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        Array(String(decoding: bytes, as: UTF8.self).utf8)
    }

    private static func converted(_ bytes: ArraySlice<UInt8>, from name: String) -> [UInt8] {
        let converter = iconv_open("UTF-8", name)
        // (iconv_t)-1: it is not installed.
        guard let converter, Int(bitPattern: converter) != -1 else { return repaired(bytes) }
        defer { iconv_close(converter) }
        var input = bytes.map { CChar(bitPattern: $0) }
        var output = [CChar](repeating: 0, count: 16 << 10)
        var result: [UInt8] = []
        input.withUnsafeMutableBufferPointer { input in
            var from = input.baseAddress
            var left = input.count
            while left > 0 {
                let before = left
                var failure: Int32 = 0
                let room = output.count
                let written = output.withUnsafeMutableBufferPointer { output in
                    var to = output.baseAddress
                    var space = room
                    if iconv(converter, &from, &left, &to, &space) == -1 { failure = errno }
                    return room - space
                }
                result += output[..<written].map { UInt8(bitPattern: $0) }
                if failure == E2BIG, left < before || written > 0 { continue }
                guard failure != 0, left > 0 else { return }
                // A byte that begins no letter, or the beginning of one at the end.
                result += [0xEF, 0xBF, 0xBD]
                from = from.map { $0 + 1 }
                left -= 1
            }
        }
        return repaired(result[...])
    }
}
