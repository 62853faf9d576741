/// The little of Protocol Buffers that Olm and Megolm messages use.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#message-format>
package struct ProtobufReader {
    package enum Value {
        case integer(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next field that has a value of ours, others skipped; nil at the end.
    package mutating func next() throws(RatchetError) -> (field: UInt64, value: Value)? {
        while !rest.isEmpty {
            let tag = try integer()
            let field = tag >> 3
            guard field > 0, field < 1 << 29 else { throw .malformed(rule: "field numbers are positive") }
            switch tag & 7 {
            case 0: return (field, .integer(try integer()))
            case 1: _ = try take(8)
            case 2:
                guard let count = Int(exactly: try integer()) else { throw Self.tooShort }
                return (field, .bytes(try take(count)))
            case 5: _ = try take(4)
            default: throw .malformed(rule: "wire types are 0, 1, 2 or 5")
            }
        }
        return nil
    }

    private mutating func integer() throws(RatchetError) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<10 {
            guard let byte = rest.popFirst() else { throw Self.tooShort }
            guard index < 9 || byte < 2 else { break }
            value |= UInt64(byte & 0x7f) << UInt64(index * 7)
            if byte & 0x80 == 0 { return value }
        }
        throw .malformed(rule: "integers have at most 64 bits")
    }

    private mutating func take(_ count: Int) throws(RatchetError) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw Self.tooShort }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private static var tooShort: RatchetError { .malformed(rule: "fields end within the message") }
}

/// Writes what `ProtobufReader` reads. Tags are written whole, as the spec prints them.
package struct ProtobufWriter {
    package private(set) var bytes: [UInt8]

    package init(version: UInt8, capacity: Int) {
        bytes = []
        bytes.reserveCapacity(capacity)
        bytes.append(version)
    }

    package mutating func write(_ value: UInt64, tag: UInt8) {
        bytes.append(tag)
        append(value)
    }

    package mutating func write(_ value: [UInt8], tag: UInt8) {
        bytes.append(tag)
        append(UInt64(value.count))
        bytes += value
    }

    package mutating func append(_ suffix: some Sequence<UInt8>) { bytes += suffix }

    private mutating func append(_ value: UInt64) {
        var value = value
        while value > 0x7f {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }
}
