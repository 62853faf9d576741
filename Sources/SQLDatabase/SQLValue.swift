/// One value as a database column holds it.
public enum SQLValue: Sendable, Hashable {
    case null
    /// `BIGINT`; a boolean is 0 or 1.
    case integer(Int64)
    /// `DOUBLE PRECISION`, `REAL`.
    case real(Double)
    /// `TEXT`, without U+0000, which PostgreSQL cannot hold.
    case text(String)
    /// `Dialect.bytesType`.
    case bytes([UInt8])

    /// What kind of value this is, for an error message: never the value itself.
    var kind: String {
        switch self {
        case .null: "NULL"
        case .integer: "an integer"
        case .real: "a real"
        case .text: "a text"
        case .bytes: "bytes"
        }
    }
}

/// What can stand in an interpolation of ``SQL`` and be bound there.
public protocol SQLBindable {
    /// The value to bind.
    var sqlValue: SQLValue { get }
}

extension SQLValue: SQLBindable {
    public var sqlValue: SQLValue { self }
}

extension Int: SQLBindable {
    public var sqlValue: SQLValue { .integer(Int64(self)) }
}

extension Int64: SQLBindable {
    public var sqlValue: SQLValue { .integer(self) }
}

extension Int32: SQLBindable {
    public var sqlValue: SQLValue { .integer(Int64(self)) }
}

extension Bool: SQLBindable {
    /// 1 or 0: columns for booleans are declared `BIGINT` or `SMALLINT`, not `BOOLEAN`.
    public var sqlValue: SQLValue { .integer(self ? 1 : 0) }
}

extension Double: SQLBindable {
    public var sqlValue: SQLValue { .real(self) }
}

extension String: SQLBindable {
    public var sqlValue: SQLValue { .text(self) }
}

extension Substring: SQLBindable {
    public var sqlValue: SQLValue { .text(String(self)) }
}

extension Array: SQLBindable where Element == UInt8 {
    public var sqlValue: SQLValue { .bytes(self) }
}

extension ArraySlice: SQLBindable where Element == UInt8 {
    public var sqlValue: SQLValue { .bytes(Array(self)) }
}

extension Optional: SQLBindable where Wrapped: SQLBindable {
    /// `nil` binds `NULL`.
    public var sqlValue: SQLValue { self?.sqlValue ?? .null }
}
