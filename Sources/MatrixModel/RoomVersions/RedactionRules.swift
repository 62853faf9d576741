/// What a redaction leaves of an event. An event's signatures and, from version 3, its id cover just that.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#redactions> and "Redactions" of each room version
public struct RedactionRules: Sendable, Hashable {
    /// What is left of the content of one event type.
    public enum KeptContent: Sendable, Hashable {
        case everything
        case keys(Set<String>)
    }

    /// The keys of the event itself that stay.
    public var topLevelKeys: Set<String>
    /// By event type; the content of a type that is not listed is emptied.
    public var content: [String: KeptContent]
    /// From version 11: `third_party_invite` stays in `m.room.member`, with nothing but its `signed`.
    public var keepsThirdPartyInviteSigned = false

    static let v1 = RedactionRules(
        topLevelKeys: [
            "event_id", "type", "room_id", "sender", "state_key", "content", "hashes", "signatures", "depth",
            "prev_events", "prev_state", "auth_events", "origin", "origin_server_ts", "membership",
        ],
        content: [
            "m.room.member": .keys(["membership"]),
            "m.room.create": .keys(["creator"]),
            "m.room.join_rules": .keys(["join_rule"]),
            "m.room.power_levels": .keys([
                "ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default",
            ]),
            "m.room.aliases": .keys(["aliases"]),
            "m.room.history_visibility": .keys(["history_visibility"]),
        ])
    static let v6 = v1.changing { $0.content["m.room.aliases"] = nil }
    static let v8 = v6.changing { $0.content["m.room.join_rules"] = .keys(["join_rule", "allow"]) }
    static let v9 = v8.changing {
        $0.content["m.room.member"] = .keys(["membership", "join_authorised_via_users_server"])
    }
    static let v11 = v9.changing {
        $0.topLevelKeys.subtract(["prev_state", "origin", "membership"])
        $0.keepsThirdPartyInviteSigned = true
        $0.content["m.room.create"] = .everything
        $0.content["m.room.power_levels"] = .keys([
            "ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users", "users_default",
        ])
        $0.content["m.room.redaction"] = .keys(["redacts"])
    }

    private func changing(_ change: (inout RedactionRules) -> Void) -> RedactionRules {
        var rules = self
        change(&rules)
        return rules
    }
}
