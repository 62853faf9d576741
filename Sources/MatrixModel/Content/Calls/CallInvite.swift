/// `m.call.invite`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mcallinvite>
public struct CallInvite: Sendable, Hashable {
    public let offer: SessionDescription
    /// How long it is valid, in milliseconds.
    public let lifetimeMilliseconds: Int64
    /// Whom it is for; nil: whoever is in the room.
    public let invitee: UserID?
    /// What its streams are; nil: the caller does not say, and knows of one only.
    public let streams: [String: StreamMetadata]?

    /// An invite of ours.
    public init(
        offer: SessionDescription, lifetimeMilliseconds: Int64, invitee: UserID?, streams: [String: StreamMetadata]?
    ) {
        self.offer = offer
        self.lifetimeMilliseconds = lifetimeMilliseconds
        self.invitee = invitee
        self.streams = streams
    }

    init(_ content: some JSONReading) throws(MalformedField) {
        offer = try SessionDescription(content, "offer", as: .offer)
        lifetimeMilliseconds = try content.requiredInteger("lifetime")
        invitee = try content.optionalIdentifier("invitee")
        streams = try [String: StreamMetadata](callContent: content)
    }
}
