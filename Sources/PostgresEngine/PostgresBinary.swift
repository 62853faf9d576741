internal import SQLDatabase

/// Values in PostgreSQL's binary format, by the object id of their type (`pg_type.oid`).
enum PostgresBinary {
    enum TypeID {
        static let bool: UInt32 = 16, bytes: UInt32 = 17, int8: UInt32 = 20, int2: UInt32 = 21, int4: UInt32 = 23
        static let text: UInt32 = 25, oid: UInt32 = 26, float4: UInt32 = 700, float8: UInt32 = 701
        static let numeric: UInt32 = 1_700, void: UInt32 = 2_278, jsonb: UInt32 = 3_802
        /// "char", name, text, json, unknown, char(n), varchar.
        static let texts: Set<UInt32> = [18, 19, 25, 114, 705, 1_042, 1_043]
    }

    /// The type a value is declared as. Declared always, so that `$1 - 1` is not taken for 32 bits wide. A null is
    /// written into the text of the statement, so its type plays no part.
    static func type(of value: SQLValue) -> UInt32 {
        switch value {
        case .null, .text: TypeID.text
        case .integer: TypeID.int8
        case .real: TypeID.float8
        case .bytes: TypeID.bytes
        }
    }

    /// A letter for the type, to tell statements of one text apart.
    static func letter(of value: SQLValue) -> Character {
        switch value {
        case .null: "n"
        case .text: "t"
        case .integer: "i"
        case .real: "r"
        case .bytes: "b"
        }
    }

    /// Appends a value that is not null.
    static func append(_ value: SQLValue, to bytes: inout [UInt8]) {
        switch value {
        case .null: break
        case .integer(let value): append(UInt64(bitPattern: value), to: &bytes)
        case .real(let value): append(value.bitPattern, to: &bytes)
        case .text(let value): bytes.append(contentsOf: value.utf8)
        case .bytes(let value): bytes.append(contentsOf: value)
        }
    }

    /// The value of a column that is not null. Of a type not known here, its bytes.
    static func value(_ bytes: UnsafeBufferPointer<UInt8>, type: UInt32) -> SQLValue {
        switch (type, bytes.count) {
        case (TypeID.bytes, _): .bytes(Array(bytes))
        case (TypeID.int8, 8): .integer(Int64(truncatingIfNeeded: unsigned(bytes)))
        case (TypeID.int4, 4): .integer(Int64(Int32(truncatingIfNeeded: unsigned(bytes))))
        case (TypeID.int2, 2): .integer(Int64(Int16(truncatingIfNeeded: unsigned(bytes))))
        case (TypeID.oid, 4): .integer(Int64(unsigned(bytes)))
        case (TypeID.bool, 1): .integer(unsigned(bytes) == 0 ? 0 : 1)
        case (TypeID.float8, 8): .real(Double(bitPattern: unsigned(bytes)))
        case (TypeID.float4, 4): .real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: unsigned(bytes)))))
        case (TypeID.numeric, 8...): numeric(bytes)
        case (TypeID.void, _): .null
        case (TypeID.jsonb, 1...): .text(String(decoding: bytes.dropFirst(), as: UTF8.self))
        default: TypeID.texts.contains(type) ? .text(String(decoding: bytes, as: UTF8.self)) : .bytes(Array(bytes))
        }
    }

    private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// The last eight bytes, big-endian.
    private static func unsigned(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A `numeric`, which is what a sum of integers is: an integer if it is whole and fits, else a real.
    private static func numeric(_ bytes: UnsafeBufferPointer<UInt8>) -> SQLValue {
        // Count of digits, weight of the first, sign, scale to display; digits of base 10,000. All of 16 bits.
        let words = stride(from: 0, to: bytes.count - 1, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        guard words.count >= 4, words[2] == 0 || words[2] == 0x4000 else { return .real(.nan) }
        let weight = Int(Int16(bitPattern: words[1]))
        let isNegative = words[2] == 0x4000
        let digits = words.dropFirst(4)
        if digits.count <= weight + 1, weight < 5 {
            var whole: Int64? = 0
            for place in 0...max(weight, 0) {
                let digit = Int64(place < digits.count ? digits[digits.startIndex + place] : 0)
                guard let sum = whole else { break }
                let (product, isTooLarge) = sum.multipliedReportingOverflow(by: 10_000)
                let (next, isTooSmall) = product.addingReportingOverflow(isNegative ? -digit : digit)
                whole = isTooLarge || isTooSmall ? nil : next
            }
            if let whole { return .integer(whole) }
        }
        var sum = 0.0
        for digit in digits { sum = sum * 10_000 + Double(digit) }
        for _ in 0..<max(0, weight + 1 - digits.count) { sum *= 10_000 }
        for _ in 0..<max(0, digits.count - weight - 1) { sum /= 10_000 }
        return .real(isNegative ? -sum : sum)
    }
}
