import MatrixModel

extension PushRule {
    /// The rule that, once enabled, silences everything; it comes before the user's own.
    static let master = ".m.rule.master"

    /// The specification's rules for a user, and those of thread subscriptions; those of each kind in their order.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#predefined-rules>
    static func defaults(for user: UserID) -> [PushRule] {
        let id = user.text
        return [
            // Override.
            rule(.override, "master", isEnabled: false, [], []),
            // So that a client can look at what is encrypted and decide by itself.
            // Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4028>
            PushRule(
                .override, ".org.matrix.msc4028.encrypted_event", isDefault: true, isEnabled: false,
                conditions: [PushCondition(match("type", "m.room.encrypted"))], actions: [.notify]),
            rule(.override, "suppress_notices", [match("content.msgtype", "m.notice")], []),
            rule(
                .override, "invite_for_me",
                [match("type", "m.room.member"), match("content.membership", "invite"), match("state_key", id)],
                [.notify, .sound("default")]),
            rule(.override, "member_event", [match("type", "m.room.member")], []),
            rule(
                .override, "is_user_mention",
                [contains("content.m\\.mentions.user_ids", .string(id))],
                [.notify, .sound("default"), .highlight]),
            rule(
                .override, "is_room_mention",
                [property("content.m\\.mentions.room", true), senderMayNotify("room")],
                [.notify, .highlight]),
            rule(
                .override, "tombstone", [match("type", "m.room.tombstone"), match("state_key", "")],
                [.notify, .highlight]),
            rule(.override, "reaction", [match("type", "m.reaction")], []),
            rule(.override, "room.server_acl", [match("type", "m.room.server_acl"), match("state_key", "")], []),
            rule(.override, "suppress_edits", [property("content.m\\.relates_to.rel_type", "m.replace")], []),
            // Threads that the user follows, and others. That these tell nothing is for the user to switch on: who uses a
            // client that does not know of following would miss what is said in threads.
            thread("unsubscribed", isFollowed: false, isEnabled: false, []),
            thread("subscribed", isFollowed: true, isEnabled: true, [.notify, .sound("default")]),
            // Underride.
            rule(.underride, "call", [match("type", "m.call.invite")], [.notify, .sound("ring")]),
            rule(
                .underride, "encrypted_room_one_to_one", [memberCount("2"), match("type", "m.room.encrypted")],
                [.notify, .sound("default")]),
            rule(
                .underride, "room_one_to_one", [memberCount("2"), match("type", "m.room.message")],
                [.notify, .sound("default")]),
            rule(.underride, "message", [match("type", "m.room.message")], [.notify]),
            rule(.underride, "encrypted", [match("type", "m.room.encrypted")], [.notify]),
        ]
    }

    private static func rule(
        _ kind: Kind, _ name: String, isEnabled: Bool = true, _ conditions: [JSONValue], _ actions: [PushAction]
    ) -> PushRule {
        PushRule(
            kind, ".m.rule.\(name)", isDefault: true, isEnabled: isEnabled,
            conditions: conditions.map(PushCondition.init), actions: actions)
    }

    /// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4306>
    private static func thread(
        _ name: String, isFollowed: Bool, isEnabled: Bool, _ actions: [PushAction]
    ) -> PushRule {
        PushRule(
            .postcontent, ".io.element.msc4306.rule.\(name)_thread", isDefault: true, isEnabled: isEnabled,
            conditions: [
                PushCondition(["kind": .string(PushCondition.threadSubscription), "subscribed": .bool(isFollowed)])
            ], actions: actions)
    }

    private static func match(_ key: String, _ pattern: String) -> JSONValue {
        ["kind": "event_match", "key": .string(key), "pattern": .string(pattern)]
    }

    private static func property(_ key: String, _ value: JSONValue) -> JSONValue {
        ["kind": "event_property_is", "key": .string(key), "value": value]
    }

    private static func contains(_ key: String, _ value: JSONValue) -> JSONValue {
        ["kind": "event_property_contains", "key": .string(key), "value": value]
    }

    private static func memberCount(_ count: String) -> JSONValue {
        ["kind": "room_member_count", "is": .string(count)]
    }

    private static func senderMayNotify(_ key: String) -> JSONValue {
        ["kind": "sender_notification_permission", "key": .string(key)]
    }
}
