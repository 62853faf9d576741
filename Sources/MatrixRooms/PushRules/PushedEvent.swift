public import MatrixModel

/// An event to be judged by the push rules of many users. What the rules ask of it is read once and kept.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#push-rules>
public struct PushedEvent {
    private let event: JSONView
    private let sender: UserID
    private let roomID: RoomID
    private let memberCount: Int
    private let senderMayNotify: (String) -> Bool
    private var properties: [String: Property] = [:]
    private var steps = 0
    /// Whether the user who is asked next follows the thread that the event is in; nil where it is in none.
    public var followsThread: Bool?

    /// What a property of the event is to a condition.
    private enum Property {
        case absent
        case string(String, Glob.Text)
        case scalar(JSONValue)
        case list([JSONValue])
    }

    /// An event and its room.
    /// - Parameters:
    ///   - event: the event, decrypted where the rules are to see so much.
    ///   - memberCount: how many users are joined to the room.
    ///   - senderMayNotify: whether the sender's power level is at least the one that the room's power levels ask for under
    ///     this key of `notifications`; 50 where they say nothing.
    public init(
        _ event: JSONView, sender: UserID, roomID: RoomID, memberCount: Int,
        senderMayNotify: @escaping (String) -> Bool
    ) {
        self.event = event
        self.sender = sender
        self.roomID = roomID
        self.memberCount = memberCount
        self.senderMayNotify = senderMayNotify
    }

    /// What the rules of a user say about the event: the first enabled rule that matches decides. `nil` if none does, and
    /// for what the user sent.
    public mutating func outcome(for user: UserID, by ruleset: PushRuleset) -> PushOutcome? {
        guard user != sender else { return nil }
        steps = 0
        for rule in ruleset.rules where rule.isEnabled && matches(rule) { return PushOutcome(rule) }
        return nil
    }

    private mutating func matches(_ rule: PushRule) -> Bool {
        switch rule.kind {
        case .override, .postcontent, .underride:
            for condition in rule.conditions where !holds(condition.test) { return false }
            return true
        case .content: return matches(Self.body, rule.glob)
        case .room: return rule.id.utf8.elementsEqual(roomID.text.utf8)
        case .sender: return rule.id.utf8.elementsEqual(sender.text.utf8)
        }
    }

    private static let body = PropertyPath("content.body")

    private mutating func holds(_ test: PushCondition.Test) -> Bool {
        switch test {
        case .eventMatch(let path, let glob):
            return matches(path, glob)
        case .eventPropertyIs(let path, let value):
            return switch property(path) {
            case .string(let text, _): Self.isSame(.string(text), value)
            case .scalar(let scalar): Self.isSame(scalar, value)
            case .absent, .list: false
            }
        case .eventPropertyContains(let path, let value):
            guard case .list(let elements) = property(path) else { return false }
            return elements.contains { Self.isSame($0, value) }
        case .roomMemberCount(let count):
            return count.allows(memberCount)
        case .senderNotificationPermission(let key):
            return senderMayNotify(key)
        case .threadSubscription(let isFollowed):
            return followsThread == isFollowed
        case .unknown:
            return false
        }
    }

    private mutating func matches(_ path: PropertyPath, _ glob: Glob?) -> Bool {
        guard let glob, case .string(_, let text) = property(path) else { return false }
        steps += glob.cost(of: text)
        guard steps <= PushRuleLimits.patternSteps else { return false }
        return path.text == Self.body.text ? glob.matchesWords(in: text) : glob.matches(text)
    }

    private mutating func property(_ path: PropertyPath) -> Property {
        if let known = properties[path.text] { return known }
        let property = read(path)
        properties[path.text] = property
        return property
    }

    private func read(_ path: PropertyPath) -> Property {
        // An event that creates a room of version 12 does not name the room.
        if path.names == ["room_id"] { return .string(roomID.text, Glob.Text(roomID.text)) }
        guard let view = path.property(of: event) else { return .absent }
        switch view.kind {
        case .string: return view.string.map { .string($0, Glob.Text($0)) } ?? .absent
        case .integer, .bool, .null: return .scalar(view.value)
        case .array: return .list(view.elements.filter { PushCondition.isScalar($0.kind) }.map(\.value))
        case .number, .object: return .absent
        }
    }

    /// Exactly the same: no casts, and strings byte for byte.
    private static func isSame(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if case (.string(let left), .string(let right)) = (left, right) { return left.utf8.elementsEqual(right.utf8) }
        return left == right
    }
}

/// What a push rule said about an event.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#actions>
public struct PushOutcome: Sendable, Hashable {
    public let ruleKind: PushRule.Kind
    public let ruleID: String
    /// The rule's actions, in their order.
    public let actions: [PushAction]

    init(_ rule: PushRule) {
        ruleKind = rule.kind
        ruleID = rule.id
        actions = rule.actions
    }

    /// Whether the user is notified. If not, the event counts for nothing.
    public var notifies: Bool { actions.contains(.notify) }

    /// What the push gateway is told about how to notify. A highlight without a value is one.
    public var tweaks: [String: JSONValue] {
        var tweaks: [String: JSONValue] = [:]
        for case .setTweak(let name, let value) in actions {
            if let value {
                tweaks[name] = value
            } else if name == "highlight" {
                tweaks[name] = true
            }
        }
        return tweaks
    }

    /// Whether the event is counted and shown as one that concerns the user in particular.
    public var highlights: Bool { tweaks["highlight"] == true }

    /// The sound to be played.
    public var sound: String? { tweaks["sound"]?.string }
}
