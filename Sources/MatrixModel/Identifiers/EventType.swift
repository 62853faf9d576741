/// The type of an event. Any text of at most 255 bytes is one; the statics are those that we know by name.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#types-of-room-events>
public struct EventType: MatrixIdentifier, ExpressibleByStringLiteral {
    public let text: String

    public init(_ text: String) throws(InvalidIdentifier) {
        guard text.utf8.count <= IdentifierGrammar.maximumBytes else {
            throw InvalidIdentifier(text: text, rule: "an event type of at most 255 bytes")
        }
        self.text = text
    }

    /// A type written in our own source.
    public init(stringLiteral text: StaticString) { self.text = text.description }

    public static let create: EventType = "m.room.create"
    public static let member: EventType = "m.room.member"
    public static let powerLevels: EventType = "m.room.power_levels"
    public static let joinRules: EventType = "m.room.join_rules"
    public static let historyVisibility: EventType = "m.room.history_visibility"
    public static let guestAccess: EventType = "m.room.guest_access"
    public static let thirdPartyInvite: EventType = "m.room.third_party_invite"
    public static let name: EventType = "m.room.name"
    public static let topic: EventType = "m.room.topic"
    public static let avatar: EventType = "m.room.avatar"
    public static let canonicalAlias: EventType = "m.room.canonical_alias"
    public static let aliases: EventType = "m.room.aliases"
    public static let encryption: EventType = "m.room.encryption"
    public static let encrypted: EventType = "m.room.encrypted"
    public static let message: EventType = "m.room.message"
    public static let redaction: EventType = "m.room.redaction"
    public static let reaction: EventType = "m.reaction"
    public static let sticker: EventType = "m.sticker"
    public static let serverACL: EventType = "m.room.server_acl"
    public static let policy: EventType = "m.room.policy"
    public static let tombstone: EventType = "m.room.tombstone"
    public static let pinnedEvents: EventType = "m.room.pinned_events"
    public static let spaceChild: EventType = "m.space.child"
    public static let spaceParent: EventType = "m.space.parent"
    public static let callInvite: EventType = "m.call.invite"
    public static let pollStart: EventType = "m.poll.start"
    public static let roomKey: EventType = "m.room_key"
    public static let forwardedRoomKey: EventType = "m.forwarded_room_key"
    public static let policyRuleUser: EventType = "m.policy.rule.user"
    public static let policyRuleRoom: EventType = "m.policy.rule.room"
    public static let policyRuleServer: EventType = "m.policy.rule.server"
    public static let pushRules: EventType = "m.push_rules"
    public static let direct: EventType = "m.direct"
    public static let ignoredUserList: EventType = "m.ignored_user_list"
    public static let fullyRead: EventType = "m.fully_read"
    public static let tag: EventType = "m.tag"
}
