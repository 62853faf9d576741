/// The tags and texts of a page, one after the other. It never fails, reads every byte a bounded number of times, and knows
/// only what a preview needs: no tree, no repairs.
/// See <https://html.spec.whatwg.org/multipage/parsing.html#tokenization>
struct HTMLTokens: Sequence, IteratorProtocol {
    enum Token: Equatable {
        /// Names in lower case; of attributes that stand twice the first.
        case start(String, attributes: [String: String])
        case end(String)
        /// Its entities are decoded, its blanks as they stand.
        case text(String)
    }

    private let bytes: [UInt8]
    private var position = 0
    private var tags = 0
    /// The element whose content is no markup, in which the position is.
    private var raw: String?

    private static let rawElements: Set<String> = [
        "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes",
    ]
    private static let maximumAttributes = 32
    private static let maximumAttribute = 4 << 10
    private static let maximumName = 64

    /// - Parameter bytes: UTF-8.
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() -> Token? {
        while position < bytes.count, tags < MediaLimits.previewTags {
            if let element = raw {
                raw = nil
                if let text = rawText(of: element) { return text }
                continue
            }
            guard bytes[position] == UInt8(ascii: "<") else { return text() }
            if let token = markup() { return token }
        }
        return nil
    }

    private func byte(_ offset: Int) -> UInt8? { offset < bytes.count ? bytes[offset] : nil }

    /// Up to the next `<`, one that begins nothing included.
    private mutating func text() -> Token {
        let start = position
        position += 1
        while let found = byte(position), found != UInt8(ascii: "<") { position += 1 }
        return .text(HTMLEntities.decode(bytes[start..<position]))
    }

    private mutating func rawText(of element: String) -> Token? {
        let start = position
        let close = Array("</\(element)".utf8)
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "<"), matches(close, at: position) { break }
            position += 1
        }
        guard position > start else { return nil }
        let content = bytes[start..<position]
        // Entities count in titles, not in scripts.
        return .text(
            element == "title" || element == "textarea"
                ? HTMLEntities.decode(content) : String(decoding: content, as: UTF8.self))
    }

    private func matches(_ text: [UInt8], at offset: Int) -> Bool {
        guard offset + text.count <= bytes.count else { return false }
        for (index, expected) in text.enumerated() where Self.lower(bytes[offset + index]) != expected { return false }
        return true
    }

    /// At a `<`. Nil for what is passed over: comments and declarations.
    private mutating func markup() -> Token? {
        if matches(Array("<!--".utf8), at: position) {
            position += 4
            while position < bytes.count, !matches(Array("-->".utf8), at: position) { position += 1 }
            position = Swift.min(position + 3, bytes.count)
            return nil
        }
        switch byte(position + 1) {
        case UInt8(ascii: "!")?, UInt8(ascii: "?")?:
            skip(past: UInt8(ascii: ">"))
            return nil
        case UInt8(ascii: "/")? where byte(position + 2).map(Self.isLetter) == true:
            position += 2
            tags += 1
            let name = name()
            skip(past: UInt8(ascii: ">"))
            return .end(name)
        case let letter? where Self.isLetter(letter):
            position += 1
            tags += 1
            let name = name()
            let attributes = attributes()
            if Self.rawElements.contains(name) { raw = name }
            return .start(name, attributes: attributes)
        default: return text()
        }
    }

    private mutating func skip(past end: UInt8) {
        while let found = byte(position), found != end { position += 1 }
        position = Swift.min(position + 1, bytes.count)
    }

    private mutating func name() -> String {
        let start = position
        while let found = byte(position), !Self.endsName(found) { position += 1 }
        return Self.lowercased(bytes[start..<position].prefix(Self.maximumName))
    }

    /// Up to the end of the tag.
    private mutating func attributes() -> [String: String] {
        var found: [String: String] = [:]
        while let next = byte(position) {
            if next == UInt8(ascii: ">") {
                position += 1
                return found
            }
            if Self.isBlank(next) || next == UInt8(ascii: "/") {
                position += 1
                continue
            }
            let (name, value) = attribute()
            if found.count < Self.maximumAttributes, found[name] == nil { found[name] = value }
        }
        return found
    }

    private mutating func attribute() -> (String, String) {
        let start = position
        // An equals sign may begin a name, so that each turn takes at least a byte.
        position += 1
        while let found = byte(position), !Self.endsName(found), found != UInt8(ascii: "=") { position += 1 }
        let name = Self.lowercased(bytes[start..<position].prefix(Self.maximumName))
        skipBlanks()
        guard byte(position) == UInt8(ascii: "=") else { return (name, "") }
        position += 1
        skipBlanks()
        let value: ArraySlice<UInt8>
        if let quote = byte(position), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            position += 1
            let start = position
            while let found = byte(position), found != quote { position += 1 }
            value = bytes[start..<position]
            position = Swift.min(position + 1, bytes.count)
        } else {
            let start = position
            while let found = byte(position), !Self.isBlank(found), found != UInt8(ascii: ">") { position += 1 }
            value = bytes[start..<position]
        }
        return (name, HTMLEntities.decode(value.prefix(Self.maximumAttribute)))
    }

    private mutating func skipBlanks() {
        while let found = byte(position), Self.isBlank(found) { position += 1 }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lower(byte))
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func endsName(_ byte: UInt8) -> Bool {
        isBlank(byte) || byte == UInt8(ascii: "/") || byte == UInt8(ascii: ">")
    }

    private static func lower(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func lowercased(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map(lower), as: UTF8.self)
    }
}
