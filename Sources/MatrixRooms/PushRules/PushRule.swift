public import MatrixModel

/// One push rule: for which events, and what then.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#push-rules>
public struct PushRule: Sendable, Hashable {
    /// The kinds, in the order in which they are asked.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case override, content
        /// Of thread subscriptions, by the server alone.
        /// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4306>
        case postcontent
        case room, sender, underride

        /// Whether its rules say themselves when they match.
        var hasConditions: Bool { self == .override || self == .postcontent || self == .underride }
    }

    public let kind: Kind
    /// Unique among the rules of the kind; of a `room` or `sender` rule the room or user.
    public let id: String
    /// Whether the specification made the rule, not the user.
    public let isDefault: Bool
    public internal(set) var isEnabled: Bool
    public internal(set) var actions: [PushAction]
    /// All must hold; only of `override`, `postcontent` and `underride`.
    public let conditions: [PushCondition]
    /// Which words the body must have; only of `content`.
    public let pattern: String?
    /// `pattern`, ready for use.
    let glob: Glob?

    init(
        _ kind: Kind, _ id: String, isDefault: Bool = false, isEnabled: Bool = true, conditions: [PushCondition] = [],
        pattern: String? = nil, actions: [PushAction]
    ) {
        self.kind = kind
        self.id = id
        self.isDefault = isDefault
        self.isEnabled = isEnabled
        self.actions = actions
        self.conditions = conditions
        self.pattern = pattern
        glob = pattern.flatMap { Glob($0) }
    }

    /// A rule as a user sends it; it is enabled.
    /// - Parameter json: the body of the request: `actions`, and for their kinds `conditions` and `pattern`.
    /// - Throws: `PushRuleError.invalid`.
    public init(_ kind: Kind, id: String, _ json: JSONValue) throws(PushRuleError) {
        guard !id.isEmpty, id.utf8.count <= PushRuleLimits.idBytes else { throw .invalid("the rule ID is too long") }
        guard kind != .postcontent else { throw .invalid("rules of this kind are the server's") }
        guard !id.hasPrefix(".") else { throw .invalid("rule IDs that start with . are the specification's") }
        guard !id.utf8.contains(0x2F), !id.utf8.contains(0x5C) else {
            throw .invalid("rule IDs have neither / nor \\")
        }
        if kind == .content {
            guard let pattern = json["pattern"]?.string else { throw .invalid("pattern is not a string") }
            guard Glob(pattern) != nil else { throw .invalid("the pattern is too long") }
        }
        self.init(
            kind, id, conditions: kind.hasConditions ? try PushCondition.list(json["conditions"]) : [],
            pattern: kind == .content ? json["pattern"]?.string : nil, actions: try PushAction.list(json["actions"]))
    }

    /// A rule of a user as we stored it; `nil` if it is none. What we do not know in it does nothing.
    init?(stored json: JSONValue, kind: Kind) {
        guard kind != .postcontent, let id = json["rule_id"]?.string, !id.hasPrefix(".") else { return nil }
        self.init(
            kind, id, isEnabled: json["enabled"]?.bool ?? true,
            conditions: kind.hasConditions ? (json["conditions"]?.elements ?? []).map(PushCondition.init) : [],
            pattern: kind == .content ? json["pattern"]?.string ?? "" : nil,
            actions: (json["actions"]?.elements ?? []).compactMap { PushAction($0) })
    }

    /// The rule as clients read it.
    public var json: JSONValue {
        .fields([
            "rule_id": .string(id),
            "default": .bool(isDefault),
            "enabled": .bool(isEnabled),
            "actions": .array(actions.map(\.json)),
            "conditions": kind.hasConditions ? .array(conditions.map(\.json)) : nil,
            "pattern": pattern.map { .string($0) },
        ])
    }
}

/// Why a user's push rules could not be changed so.
public enum PushRuleError: Error, Hashable, Sendable {
    /// There is no such rule.
    case notFound
    /// The rule that another was to stand before or after is none of the user's of that kind.
    case anchorNotFound(String)
    /// The request is wrong; the reason is for a person.
    case invalid(String)
}
