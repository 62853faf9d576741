/// `m.room.join_rules`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomjoin_rules>
public struct JoinRules: Sendable {
    /// Who may join.
    public enum Rule: String, Sendable, Hashable, CaseIterable {
        case `public`, knock, invite, `private`, restricted
        case knockRestricted = "knock_restricted"
    }

    private let content: JSONView?

    /// - Parameter event: the room's event, or `nil`: a room without one is for the invited.
    public init(_ event: PDU?) { content = event?.content }

    /// The rule as it is written, perhaps one that nobody knows; `invite` where the room has no event, or one without it.
    /// - Throws: `MalformedField` where it is no text.
    public var text: String {
        get throws(MalformedField) {
            guard let content, content["join_rule"] != nil else { return Rule.invite.rawValue }
            return try content.requiredString("join_rule")
        }
    }

    /// The rule; `nil` for one that nobody knows, by which nobody can join.
    public var rule: Rule? { (try? text).flatMap { Rule(rawValue: $0) } }

    /// The rooms whose members may join under `restricted` and `knock_restricted`.
    public var allowedRooms: [RoomID] {
        (content?["allow"]?.elements ?? []).compactMap { condition in
            guard condition["type"]?.string == "m.room_membership" else { return nil }
            return condition["room_id"]?.string.flatMap { try? RoomID($0) }
        }
    }
}
