/// A user's standing in a room.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroommember>
public enum Membership: String, Sendable, Hashable, CaseIterable {
    case invite, join, knock, leave, ban
}

/// `m.room.member`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroommember>
public struct RoomMember: Sendable {
    /// The event whose content this reads.
    public let event: PDU

    /// A view of an event of this type.
    public init(_ event: PDU) { self.event = event }

    /// - Throws: `MalformedField` where there is none, or one that nobody knows.
    public var membership: Membership {
        get throws(MalformedField) {
            guard let membership = Membership(rawValue: try event.content.requiredString("membership")) else {
                throw MalformedField("membership", expected: "a membership")
            }
            return membership
        }
    }

    /// The user it is about: the state key.
    public var user: UserID? { event.stateKey.flatMap { try? UserID($0) } }

    /// The name that the user wants to be shown by; untrusted.
    public var displayName: String? { event.content["displayname"]?.string }
    /// The `mxc` URI of the user's picture; untrusted.
    public var avatarURL: String? { event.content["avatar_url"]?.string }
    /// Why, for people; untrusted.
    public var reason: String? { event.content["reason"]?.string }
    /// Whether the invite is for a conversation of two.
    public var isDirect: Bool { event.content["is_direct"]?.bool ?? false }

    /// Who let the user in to a room with restricted joins.
    public var joinAuthorizedBy: UserID? {
        event.content["join_authorised_via_users_server"]?.string.flatMap { try? UserID($0) }
    }

    /// The token of the third-party invite that this invite fulfils.
    public var thirdPartyInviteToken: String? { event.content["third_party_invite"]?["signed"]?["token"]?.string }
}
