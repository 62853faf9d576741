/// One row of an answer. Columns count from 0, in the order of the `SELECT`.
///
/// Every reader throws ``DatabaseError`` of kind `.misuse` for a column that is not there or of another type; none traps.
public struct SQLRow: Sendable, Hashable {
    /// The columns' values.
    public let values: [SQLValue]

    /// A row, as an engine makes it.
    public init(_ values: [SQLValue]) {
        self.values = values
    }

    /// How many columns there are.
    public var count: Int { values.count }

    /// The value of column `index`, of whichever type.
    public func value(_ index: Int) throws(DatabaseError) -> SQLValue {
        guard values.indices.contains(index) else {
            throw DatabaseError(.misuse, "column \(index) asked of a row of \(values.count)")
        }
        return values[index]
    }

    /// Whether column `index` is `NULL`.
    public func isNull(_ index: Int) throws(DatabaseError) -> Bool {
        try value(index) == .null
    }

    /// An integer column.
    public func integer(_ index: Int) throws(DatabaseError) -> Int64 {
        guard case .integer(let value) = try value(index) else { throw try mismatch(index, "an integer") }
        return value
    }

    /// An integer column, as `Int`.
    public func int(_ index: Int) throws(DatabaseError) -> Int {
        guard let value = Int(exactly: try integer(index)) else { throw try mismatch(index, "an Int") }
        return value
    }

    /// An integer column of 0 or 1.
    public func bool(_ index: Int) throws(DatabaseError) -> Bool {
        switch try integer(index) {
        case 0: return false
        case 1: return true
        default: throw try mismatch(index, "0 or 1")
        }
    }

    /// A real column; an integer is converted.
    public func double(_ index: Int) throws(DatabaseError) -> Double {
        switch try value(index) {
        case .real(let value): return value
        case .integer(let value): return Double(value)
        default: throw try mismatch(index, "a real")
        }
    }

    /// A text column.
    public func text(_ index: Int) throws(DatabaseError) -> String {
        guard case .text(let value) = try value(index) else { throw try mismatch(index, "a text") }
        return value
    }

    /// A column of bytes.
    public func bytes(_ index: Int) throws(DatabaseError) -> [UInt8] {
        guard case .bytes(let value) = try value(index) else { throw try mismatch(index, "bytes") }
        return value
    }

    /// As `integer`, with `nil` for `NULL`.
    public func optionalInteger(_ index: Int) throws(DatabaseError) -> Int64? {
        try isNull(index) ? nil : try integer(index)
    }

    /// As `bool`, with `nil` for `NULL`.
    public func optionalBool(_ index: Int) throws(DatabaseError) -> Bool? {
        try isNull(index) ? nil : try bool(index)
    }

    /// As `text`, with `nil` for `NULL`.
    public func optionalText(_ index: Int) throws(DatabaseError) -> String? {
        try isNull(index) ? nil : try text(index)
    }

    /// As `bytes`, with `nil` for `NULL`.
    public func optionalBytes(_ index: Int) throws(DatabaseError) -> [UInt8]? {
        try isNull(index) ? nil : try bytes(index)
    }

    private func mismatch(_ index: Int, _ expected: String) throws(DatabaseError) -> DatabaseError {
        DatabaseError(.misuse, "column \(index) is \(try value(index).kind), not \(expected)")
    }
}
