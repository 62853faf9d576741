/// Reads a text into a tape, in one pass, without recursion. RFC 8259 to the letter: no comments, no trailing commas,
/// no bare words, and every string is UTF-8 whose escaped surrogates come in pairs.
struct JSONParser {
    private var nodes: [JSONNode] = []
    private let limits: JSONLimits

    static func parse(_ bytes: [UInt8], limits: JSONLimits) throws(JSONError) -> [JSONNode] {
        guard bytes.count <= limits.maximumBytes else { throw JSONError(.tooLarge, at: limits.maximumBytes) }
        var parser = JSONParser(limits: limits)
        parser.nodes.reserveCapacity(min(bytes.count / 12, limits.maximumNodes) + 8)
        try parser.run(bytes.span)
        return parser.nodes
    }

    private init(limits: JSONLimits) { self.limits = limits }

    private mutating func run(_ text: Span<UInt8>) throws(JSONError) {
        var position = 0
        var current = -1
        var depth = 0
        values: while true {
            position = Self.skipSpace(text, position)
            guard position < text.count else { throw JSONError(.unexpectedEnd, at: position) }
            let byte = text[position]
            switch byte {
            case 0x22:
                position = try string(text, position, isKey: false)
            case 0x7B, 0x5B:
                guard depth < limits.maximumDepth else { throw JSONError(.tooDeep, at: position) }
                let kind: JSONKind = byte == 0x7B ? .object : .array
                let index = nodes.count
                try append(JSONNode.tag(kind), position, 0, extra: UInt32(truncatingIfNeeded: current))
                position = Self.skipSpace(text, position + 1)
                if position < text.count, text[position] == byte + 2 {
                    position += 1
                    nodes[index].length = UInt32(truncatingIfNeeded: position) &- nodes[index].offset
                    nodes[index].extra = UInt32(truncatingIfNeeded: nodes.count)
                } else {
                    depth += 1
                    current = index
                    if byte == 0x7B { position = try key(text, position) }
                    continue values
                }
            case 0x2D, 0x30...0x39:
                position = try number(text, position)
            case 0x74:
                position = try word(text, position, "true", JSONNode.tag(.bool) | JSONNode.isTrue)
            case 0x66:
                position = try word(text, position, "false", JSONNode.tag(.bool))
            case 0x6E:
                position = try word(text, position, "null", JSONNode.tag(.null))
            default:
                throw JSONError(.unexpectedByte, at: position)
            }

            // A value has ended: in which container, and does that end too?
            while current >= 0 {
                nodes[current].tag &+= JSONNode.oneChild
                position = Self.skipSpace(text, position)
                guard position < text.count else { throw JSONError(.unexpectedEnd, at: position) }
                let isObject = nodes[current].isObject
                let byte = text[position]
                if byte == 0x2C {
                    position += 1
                    if isObject { position = try key(text, position) }
                    continue values
                }
                guard byte == (isObject ? 0x7D : 0x5D) else { throw JSONError(.unexpectedByte, at: position) }
                position += 1
                let parent = Int(Int32(truncatingIfNeeded: nodes[current].extra))
                nodes[current].length = UInt32(truncatingIfNeeded: position) &- nodes[current].offset
                nodes[current].extra = UInt32(truncatingIfNeeded: nodes.count)
                if isObject, nodes[current].childCount > 1, hasDuplicates(text, current) {
                    nodes[current].tag |= JSONNode.duplicates
                }
                current = parent
                depth -= 1
            }
            break values
        }
        position = Self.skipSpace(text, position)
        guard position == text.count else { throw JSONError(.trailingBytes, at: position) }
    }

    @inline(__always)
    private mutating func append(_ tag: UInt32, _ offset: Int, _ length: Int, extra: UInt32) throws(JSONError) {
        guard nodes.count < limits.maximumNodes else { throw JSONError(.tooManyNodes, at: offset) }
        nodes.append(
            JSONNode(
                offset: UInt32(truncatingIfNeeded: offset), length: UInt32(truncatingIfNeeded: length), extra: extra,
                tag: tag))
    }

    @inline(__always)
    private static func skipSpace(_ text: Span<UInt8>, _ start: Int) -> Int {
        var position = start
        while position < text.count {
            let byte = text[position]
            guard byte <= 0x20, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { break }
            position += 1
        }
        return position
    }

    private mutating func key(_ text: Span<UInt8>, _ start: Int) throws(JSONError) -> Int {
        var position = Self.skipSpace(text, start)
        guard position < text.count else { throw JSONError(.unexpectedEnd, at: position) }
        guard text[position] == 0x22 else { throw JSONError(.unexpectedByte, at: position) }
        position = Self.skipSpace(text, try string(text, position, isKey: true))
        guard position < text.count else { throw JSONError(.unexpectedEnd, at: position) }
        guard text[position] == 0x3A else { throw JSONError(.unexpectedByte, at: position) }
        return position + 1
    }

    private mutating func word(_ text: Span<UInt8>, _ start: Int, _ word: StaticString, _ tag: UInt32)
        throws(JSONError) -> Int
    {
        let count = word.utf8CodeUnitCount
        guard start + count <= text.count else { throw JSONError(.unexpectedEnd, at: text.count) }
        let matches = word.withUTF8Buffer { letters in
            for index in 0..<count where letters[index] != text[start + index] { return false }
            return true
        }
        guard matches else { throw JSONError(.unexpectedByte, at: start) }
        try append(tag, start, count, extra: 0)
        return start + count
    }

    private mutating func number(_ text: Span<UInt8>, _ start: Int) throws(JSONError) -> Int {
        var position = start
        let isNegative = text[position] == 0x2D
        if isNegative { position += 1 }
        let digits = position
        position = Self.skipDigits(text, position)
        let digitCount = position - digits
        guard digitCount > 0, digitCount == 1 || text[digits] != 0x30 else {
            throw JSONError(.invalidNumber, at: start)
        }
        var kind = JSONKind.integer
        if position < text.count, text[position] == 0x2E {
            kind = .number
            let fraction = position + 1
            position = Self.skipDigits(text, fraction)
            guard position > fraction else { throw JSONError(.invalidNumber, at: start) }
        }
        if position < text.count, text[position] | 0x20 == 0x65 {
            kind = .number
            position += 1
            if position < text.count, text[position] == 0x2B || text[position] == 0x2D { position += 1 }
            let exponent = position
            position = Self.skipDigits(text, exponent)
            guard position > exponent else { throw JSONError(.invalidNumber, at: start) }
        }
        if kind == .integer, digitCount > 18, JSONStorage.integer(text, start..<position) == nil { kind = .number }
        try append(JSONNode.tag(kind), start, position - start, extra: 0)
        return position
    }

    @inline(__always)
    private static func skipDigits(_ text: Span<UInt8>, _ start: Int) -> Int {
        var position = start
        while position < text.count, text[position] &- 0x30 < 10 { position += 1 }
        return position
    }

    /// Appends the string whose quote is at `start`; the position after its closing quote.
    @inline(__always)
    private mutating func string(_ text: Span<UInt8>, _ start: Int, isKey: Bool) throws(JSONError) -> Int {
        var position = start + 1
        var tag = JSONNode.tag(.string)
        scan: while true {
            while position + 8 <= text.count {
                let special = JSONBytes.special(JSONBytes.word(text, position))
                if special == 0 {
                    position += 8
                } else {
                    position += special.trailingZeroBitCount >> 3
                    break
                }
            }
            guard position < text.count else { throw JSONError(.unexpectedEnd, at: position) }
            let byte = text[position]
            switch byte {
            case 0x22:
                break scan
            case 0x5C:
                tag |= JSONNode.escaped
                position = try JSONStringText.checkEscape(text, position)
            case 0x00...0x1F:
                throw JSONError(.controlCharacter, at: position)
            case 0x80...0xFF:
                position = try JSONStringText.checkUTF8(text, position)
            default:
                position += 1  // plain, within the last seven bytes of the text
            }
        }
        let count = position - start - 1
        let isPlainKey = isKey && tag & JSONNode.escaped == 0
        let hash = isPlainKey ? JSONBytes.keyHash(text, start + 1, count) : 0
        try append(tag, start, count + 2, extra: hash)
        return position + 1
    }

    /// Whether a key of the object at `index`, just closed, occurs twice.
    private func hasDuplicates(_ text: Span<UInt8>, _ index: Int) -> Bool {
        let count = nodes[index].childCount
        if count <= 32 {
            var left = index + 1
            for position in 0..<count {
                if nodes[left].isEscaped { return hasDuplicatesExactly(text, index) }
                let hash = nodes[left].extra
                var right = nodes[left + 1].next(after: left + 1)
                let following = right
                for _ in position + 1..<count {
                    if nodes[right].extra == hash { return hasDuplicatesExactly(text, index) }
                    right = nodes[right + 1].next(after: right + 1)
                }
                left = following
            }
            return false
        }
        var hashes = Set<UInt32>(minimumCapacity: count)
        var key = index + 1
        for _ in 0..<count {
            if nodes[key].isEscaped || !hashes.insert(nodes[key].extra).inserted {
                return hasDuplicatesExactly(text, index)
            }
            key = nodes[key + 1].next(after: key + 1)
        }
        return false
    }

    private func hasDuplicatesExactly(_ text: Span<UInt8>, _ index: Int) -> Bool {
        let count = nodes[index].childCount
        var keys = Set<[UInt8]>(minimumCapacity: count)
        var key = index + 1
        for _ in 0..<count {
            if !keys.insert(JSONStringText.decoded(text, nodes[key])).inserted { return true }
            key = nodes[key + 1].next(after: key + 1)
        }
        return false
    }
}
