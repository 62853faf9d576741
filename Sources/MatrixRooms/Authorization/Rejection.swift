import MatrixModel

/// An event is not allowed, and by which rule.
public struct Rejection: Error, Hashable, Sendable, CustomStringConvertible {
    /// The rule's number in room version 12, such as "5.3.3"; a rule that only older versions have as "v1 11.3".
    public let clause: String
    /// Why, for a person. Holds no content of events.
    public let reason: String

    /// A rejection by a rule.
    public init(_ clause: String, _ reason: String) {
        self.clause = clause
        self.reason = reason
    }

    public var description: String { "\(reason) (rule \(clause))" }
}

/// Rejects by a rule that reads a field which is not what it should be.
func reading<R>(_ clause: String, _ read: () throws(MalformedField) -> R) throws(Rejection) -> R {
    do throws(MalformedField) {
        return try read()
    } catch {
        throw Rejection(clause, "\(error)")
    }
}
