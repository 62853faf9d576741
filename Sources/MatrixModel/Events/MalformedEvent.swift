/// Why bytes are not an event of their room's version: such an event is dropped, not rejected.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>
public struct MalformedEvent: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, as far as answers differ by it.
    public enum Kind: Sendable, Hashable {
        /// Not JSON, or not canonical JSON where the room version insists on it.
        case badJSON
        /// More bytes than an event or one of its fields may have.
        case tooLarge
        /// A field is missing, of another type, or out of bounds.
        case badFormat
    }

    /// What is wrong.
    public let kind: Kind
    /// The rule that is broken, for a person. Holds nothing of the event.
    public let rule: String

    /// A rule that an event breaks.
    public init(_ kind: Kind, _ rule: String) {
        self.kind = kind
        self.rule = rule
    }

    init(_ error: JSONError) { self.init(.badJSON, "the event is not JSON as it must be: \(error)") }

    public var description: String { rule }
}
