internal import Cryptography

/// The JSON of vodozemac's pickles: a value, without anything that they do not hold (fractions, escapes other than none).
indirect enum PickleJSON {
    case object([String: PickleJSON])
    case array([PickleJSON])
    case integer(UInt64)
    case text(String)
    case flag(Bool)
    case null

    /// Throws `malformed`.
    init(_ body: SecretBytes) throws(RatchetError) {
        var parser = Parser(body: body)
        self = try parser.value(depth: 0)
        guard parser.position == body.count else { throw Self.malformed }
    }

    subscript(_ name: String) -> PickleJSON {
        guard case .object(let members) = self else { return .null }
        return members[name] ?? .null
    }

    var isNull: Bool {
        if case .null = self { true } else { false }
    }

    var integer: UInt64 {
        get throws(RatchetError) {
            guard case .integer(let value) = self else { throw Self.malformed }
            return value
        }
    }

    var flag: Bool {
        get throws(RatchetError) {
            guard case .flag(let value) = self else { throw Self.malformed }
            return value
        }
    }

    var text: String {
        get throws(RatchetError) {
            guard case .text(let value) = self else { throw Self.malformed }
            return value
        }
    }

    func array(upTo limit: Int) throws(RatchetError) -> [PickleJSON] {
        guard case .array(let values) = self, values.count <= limit else { throw Self.malformed }
        return values
    }

    /// The members of an object whose names are numbers, in any order.
    func numbered(upTo limit: Int) throws(RatchetError) -> [(number: UInt64, value: PickleJSON)] {
        guard case .object(let members) = self, members.count <= limit else { throw Self.malformed }
        var found: [(number: UInt64, value: PickleJSON)] = []
        for (name, value) in members {
            guard let number = UInt64(name), number < UInt64(Int64.max) else { throw Self.malformed }
            found.append((number, value))
        }
        return found
    }

    /// A list of `count` bytes.
    func secret(_ count: Int) throws(RatchetError) -> SecretBytes {
        let values = try array(upTo: count)
        guard values.count == count else { throw Self.malformed }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        defer { wipe(&bytes) }
        for value in values {
            guard let byte = UInt8(exactly: try value.integer) else { throw Self.malformed }
            bytes.append(byte)
        }
        return SecretBytes(bytes, placement: .pooled)
    }

    static var malformed: RatchetError { .malformed(rule: "a pickle is as vodozemac wrote it") }
}

extension PickleJSON {
    private struct Parser {
        let body: SecretBytes
        var position = 0

        mutating func value(depth: Int) throws(RatchetError) -> PickleJSON {
            guard depth <= Limits.pickleDepth else { throw PickleJSON.malformed }
            switch try peek() {
            case UInt8(ascii: "{"): return try object(depth)
            case UInt8(ascii: "["): return try array(depth)
            case UInt8(ascii: "\""): return .text(try text())
            case UInt8(ascii: "0")...UInt8(ascii: "9"): return .integer(try integer())
            case UInt8(ascii: "t"): return try word("true", .flag(true))
            case UInt8(ascii: "f"): return try word("false", .flag(false))
            default: return try word("null", .null)
            }
        }

        private mutating func object(_ depth: Int) throws(RatchetError) -> PickleJSON {
            var members: [String: PickleJSON] = [:]
            try list(UInt8(ascii: "{"), UInt8(ascii: "}")) { (parser: inout Parser) throws(RatchetError) in
                let name = try parser.text()
                try parser.expect(UInt8(ascii: ":"))
                guard members.updateValue(try parser.value(depth: depth + 1), forKey: name) == nil else {
                    throw PickleJSON.malformed
                }
            }
            return .object(members)
        }

        private mutating func array(_ depth: Int) throws(RatchetError) -> PickleJSON {
            var values: [PickleJSON] = []
            try list(UInt8(ascii: "["), UInt8(ascii: "]")) { (parser: inout Parser) throws(RatchetError) in
                values.append(try parser.value(depth: depth + 1))
            }
            return .array(values)
        }

        private mutating func list(
            _ open: UInt8, _ close: UInt8, _ element: (inout Parser) throws(RatchetError) -> Void
        ) throws(RatchetError) {
            try expect(open)
            if try peek() == close { return try expect(close) }
            while true {
                try element(&self)
                guard try peek() == UInt8(ascii: ",") else { return try expect(close) }
                try expect(UInt8(ascii: ","))
            }
        }

        private mutating func text() throws(RatchetError) -> String {
            try expect(UInt8(ascii: "\""))
            var bytes: [UInt8] = []
            while try peek() != UInt8(ascii: "\"") {
                let byte = try peek()
                guard byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\\"), bytes.count < 64 else {
                    throw PickleJSON.malformed
                }
                bytes.append(byte)
                position += 1
            }
            try expect(UInt8(ascii: "\""))
            return String(decoding: bytes, as: UTF8.self)
        }

        private mutating func integer() throws(RatchetError) -> UInt64 {
            var value: UInt64 = 0
            while position < body.count, case let digit = try peek(),
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit)
            {
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
                guard !overflow, !carry else { throw PickleJSON.malformed }
                value = sum
                position += 1
            }
            return value
        }

        private mutating func word(_ word: String, _ value: PickleJSON) throws(RatchetError) -> PickleJSON {
            for byte in word.utf8 { try expect(byte) }
            return value
        }

        private func peek() throws(RatchetError) -> UInt8 {
            guard position < body.count else { throw PickleJSON.malformed }
            return body.withBytes { $0[position] }
        }

        private mutating func expect(_ byte: UInt8) throws(RatchetError) {
            guard try peek() == byte else { throw PickleJSON.malformed }
            position += 1
        }
    }
}
