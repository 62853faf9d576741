/// `m.call.negotiate`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mcallnegotiate>
public struct CallNegotiate: Sendable, Hashable {
    public let description: SessionDescription
    /// How long it is valid, in milliseconds.
    public let lifetimeMilliseconds: Int64
    /// What the streams are from now on; nil: as before.
    public let streams: [String: StreamMetadata]?

    /// One of ours.
    public init(description: SessionDescription, lifetimeMilliseconds: Int64, streams: [String: StreamMetadata]?) {
        self.description = description
        self.lifetimeMilliseconds = lifetimeMilliseconds
        self.streams = streams
    }

    init(_ content: some JSONReading) throws(MalformedField) {
        description = try SessionDescription(content, "description", as: nil)
        lifetimeMilliseconds = try content.requiredInteger("lifetime")
        streams = try [String: StreamMetadata](callContent: content)
    }
}
