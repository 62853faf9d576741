/// The inside of a string: checking it once, and decoding it when somebody asks.
enum JSONStringText {
    /// Checks the escape whose backslash is at `start`; the position after it. A surrogate must have its other half:
    /// canonical JSON is UTF-8, which cannot say half a pair, so such a text is refused whole.
    static func checkEscape(_ text: Span<UInt8>, _ start: Int) throws(JSONError) -> Int {
        guard start + 1 < text.count else { throw JSONError(.unexpectedEnd, at: text.count) }
        switch text[start + 1] {
        case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74:
            return start + 2
        case 0x75:
            guard let unit = hexadecimal(text, start + 2) else { throw JSONError(.invalidEscape, at: start) }
            guard unit & 0xF800 == 0xD800 else { return start + 6 }
            guard unit < 0xDC00, start + 8 <= text.count, text[start + 6] == 0x5C, text[start + 7] == 0x75,
                let low = hexadecimal(text, start + 8), low & 0xFC00 == 0xDC00
            else { throw JSONError(.loneSurrogate, at: start) }
            return start + 12
        default:
            throw JSONError(.invalidEscape, at: start)
        }
    }

    /// Checks the run of non-ASCII that begins at `start`; the position after it. No overlong forms, no surrogates,
    /// nothing above U+10FFFF.
    static func checkUTF8(_ text: Span<UInt8>, _ start: Int) throws(JSONError) -> Int {
        var position = start
        while position < text.count, text[position] >= 0x80 {
            let lead = text[position]
            let length: Int
            let second: ClosedRange<UInt8>
            switch lead {
            case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
            case 0xE0: (length, second) = (3, 0xA0...0xBF)
            case 0xED: (length, second) = (3, 0x80...0x9F)
            case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
            case 0xF0: (length, second) = (4, 0x90...0xBF)
            case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
            case 0xF4: (length, second) = (4, 0x80...0x8F)
            default: throw JSONError(.invalidUTF8, at: position)
            }
            guard position + length <= text.count, second.contains(text[position + 1]) else {
                throw JSONError(.invalidUTF8, at: position)
            }
            for index in 2..<max(length, 2) where text[position + index] & 0xC0 != 0x80 {
                throw JSONError(.invalidUTF8, at: position)
            }
            position += length
        }
        return position
    }

    /// The bytes of a checked string with its escapes resolved.
    static func decoded(_ text: Span<UInt8>, _ node: JSONNode) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(node.inner.count)
        var position = node.inner.lowerBound
        let end = node.inner.upperBound
        while position < end {
            let byte = text[position]
            guard byte == 0x5C, position + 1 < end else {
                bytes.append(byte)
                position += 1
                continue
            }
            let letter = text[position + 1]
            position += 2
            switch letter {
            case 0x62: bytes.append(0x08)
            case 0x66: bytes.append(0x0C)
            case 0x6E: bytes.append(0x0A)
            case 0x72: bytes.append(0x0D)
            case 0x74: bytes.append(0x09)
            case 0x75:
                var scalar = hexadecimal(text, position) ?? 0xFFFD
                position += 4
                if scalar & 0xFC00 == 0xD800, let low = hexadecimal(text, position + 2) {
                    scalar = 0x10000 + (scalar & 0x3FF) << 10 + (low & 0x3FF)
                    position += 6
                }
                append(scalar, to: &bytes)
            default: bytes.append(letter)
            }
        }
        return bytes
    }

    private static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
        guard let scalar = Unicode.Scalar(scalar) else { return }
        bytes.append(contentsOf: Unicode.UTF8.encode(scalar) ?? Unicode.UTF8.encodedReplacementCharacter)
    }

    /// Four hexadecimal digits.
    private static func hexadecimal(_ text: Span<UInt8>, _ start: Int) -> UInt32? {
        guard start + 4 <= text.count else { return nil }
        var value: UInt32 = 0
        for index in start..<start + 4 {
            let byte = text[index]
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x37)
            case 0x61...0x66: value = value << 4 | UInt32(byte - 0x57)
            default: return nil
            }
        }
        return value
    }

    /// Appends a string in quotes with the shortest escapes of canonical JSON.
    /// Spec: <https://spec.matrix.org/v1.19/appendices/#grammar>
    static func appendEscaped(_ text: Span<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(0x22)
        for index in 0..<text.count {
            let byte = text[index]
            switch byte {
            case 0x22, 0x5C:
                bytes.append(0x5C)
                bytes.append(byte)
            case 0x20...0xFF: bytes.append(byte)
            case 0x08: bytes.append(contentsOf: [0x5C, 0x62])
            case 0x09: bytes.append(contentsOf: [0x5C, 0x74])
            case 0x0A: bytes.append(contentsOf: [0x5C, 0x6E])
            case 0x0C: bytes.append(contentsOf: [0x5C, 0x66])
            case 0x0D: bytes.append(contentsOf: [0x5C, 0x72])
            default:
                let digits: StaticString = "0123456789abcdef"
                let (high, low) = digits.withUTF8Buffer { ($0[Int(byte >> 4)], $0[Int(byte & 15)]) }
                bytes.append(contentsOf: [0x5C, 0x75, 0x30, 0x30, high, low])
            }
        }
        bytes.append(0x22)
    }

    /// The same for a string; one without anything to escape is copied whole.
    static func appendEscaped(_ text: String, to bytes: inout [UInt8]) {
        var text = text
        text.withUTF8 { buffer in
            let span = buffer.span
            var index = 0
            while index + 8 <= span.count,
                JSONBytes.special(JSONBytes.word(span, index) & ~JSONBytes.highs) == 0
            {
                index += 8
            }
            while index < span.count, span[index] >= 0x20, span[index] != 0x22, span[index] != 0x5C { index += 1 }
            if index == span.count {
                bytes.append(0x22)
                bytes.append(contentsOf: buffer)
                bytes.append(0x22)
            } else {
                appendEscaped(span, to: &bytes)
            }
        }
    }
}
