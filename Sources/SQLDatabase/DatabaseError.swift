/// Why the database did not do what was asked. The message is for the operator and holds no bound value.
public struct DatabaseError: Error, Hashable, CustomStringConvertible {
    /// What the caller can do about it.
    public enum Kind: String, Sendable, Hashable {
        /// Too much work waits, or another transaction was in the way: try again later.
        case busy
        /// A uniqueness, reference, `NOT NULL` or `CHECK` constraint refused the change.
        case constraint
        /// No space is left. Nothing of the transaction is kept; works again when there is space.
        case full
        /// The database cannot be reached or opened at present, or is closed.
        case unavailable
        /// A statement of ours is wrong, or a column is of another type than asked for.
        case misuse
        /// What is on disk is damaged.
        case corrupt
        /// Anything else.
        case other
    }

    public let kind: Kind
    public let message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { "database \(kind.rawValue): \(message)" }
}
