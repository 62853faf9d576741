public import MatrixModel

/// All push rules of a user: the specification's and the user's own. A value; storing it is up to the caller.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#push-rules>
public struct PushRuleset: Sendable, Hashable {
    /// The specification's rules, those of each kind in their order.
    var defaults: [PushRule] { didSet { arrange() } }
    /// The user's rules, those of each kind in their order.
    var own: [PushRule] { didSet { arrange() } }
    /// All rules in the order in which they are asked.
    public private(set) var rules: [PushRule] = []

    /// The rules of a user who has changed nothing.
    public init(user: UserID) {
        defaults = PushRule.defaults(for: user)
        own = []
        arrange()
    }

    /// The rules of a user as `content` was stored. Of the specification's rules only `enabled` and `actions` are taken from
    /// there, so that a new version of them reaches everybody.
    public init(user: UserID, content: JSONValue) {
        self.init(user: user)
        let global = content["global"]
        var defaults = defaults
        var own: [PushRule] = []
        for kind in PushRule.Kind.allCases {
            for json in global?[kind.rawValue]?.elements ?? [] {
                if let rule = PushRule(stored: json, kind: kind) {
                    if !own.contains(where: { $0.kind == kind && $0.id == rule.id }) { own.append(rule) }
                } else if let index = defaults.firstIndex(where: {
                    $0.kind == kind && $0.id == json["rule_id"]?.string
                }) {
                    defaults[index].isEnabled = json["enabled"]?.bool ?? defaults[index].isEnabled
                    if let actions = json["actions"]?.array {
                        defaults[index].actions = actions.compactMap { PushAction($0) }
                    }
                }
            }
        }
        self.defaults = defaults
        self.own = Array(own.prefix(PushRuleLimits.rules))
        arrange()  // Observers stay silent in an initializer.
    }

    /// The content of `m.push_rules`, which is also the answer to `GET /pushrules/`.
    public var content: JSONValue { ["global": global] }

    /// The answer to `GET /pushrules/global/`: a list for each kind.
    public var global: JSONValue {
        var lists: [String: JSONValue] = [:]
        for kind in PushRule.Kind.allCases { lists[kind.rawValue] = .array(rules(of: kind).map(\.json)) }
        return .object(lists)
    }

    /// The same rules in the same order.
    public static func == (left: PushRuleset, right: PushRuleset) -> Bool { left.rules == right.rules }

    /// By its rules in their order.
    public func hash(into hasher: inout Hasher) { hasher.combine(rules) }

    /// The rules of a kind, in their order.
    public func rules(of kind: PushRule.Kind) -> [PushRule] { rules.filter { $0.kind == kind } }

    /// A rule by its kind and ID.
    public func rule(_ kind: PushRule.Kind, _ id: String) -> PushRule? {
        rules.first { $0.kind == kind && $0.id == id }
    }

    /// The user's rules come before the specification's of their kind, except the master rule.
    private mutating func arrange() {
        var rules = defaults.filter { $0.id == PushRule.master }
        for kind in PushRule.Kind.allCases {
            rules += own.filter { $0.kind == kind }
            rules += defaults.filter { $0.kind == kind && $0.id != PushRule.master }
        }
        self.rules = rules
    }
}

extension PushRuleset {
    /// Adds one of the user's rules, or replaces it. Without an anchor a new one becomes the first of its kind, and one
    /// replaced stays where it was; a replaced one also stays as enabled as it was.
    /// - Parameters:
    ///   - before: the rule just less important than it; it counts where both are given.
    ///   - after: the rule just more important than it.
    /// - Throws: `PushRuleError.anchorNotFound`, or `.invalid` if there are too many rules.
    public mutating func put(_ rule: PushRule, before: String? = nil, after: String? = nil) throws(PushRuleError) {
        var rule = rule
        var own = own
        let old = own.firstIndex { $0.kind == rule.kind && $0.id == rule.id }
        if let old {
            rule.isEnabled = own[old].isEnabled
            own.remove(at: old)
        }
        guard own.count < PushRuleLimits.rules else { throw .invalid("too many rules") }
        var place = old ?? 0
        if let anchor = before ?? after {
            guard let index = own.firstIndex(where: { $0.kind == rule.kind && $0.id == anchor }) else {
                throw .anchorNotFound(anchor)
            }
            place = before == nil ? index + 1 : index
        }
        own.insert(rule, at: place)
        self.own = own
    }

    /// Removes one of the user's rules.
    /// - Throws: `PushRuleError.notFound`, or `.invalid` for one of the specification's, which can only be disabled.
    public mutating func remove(_ kind: PushRule.Kind, _ id: String) throws(PushRuleError) {
        guard let rule = rule(kind, id) else { throw .notFound }
        guard !rule.isDefault else { throw .invalid("the specification's rules cannot be deleted") }
        own.removeAll { $0.kind == kind && $0.id == id }
    }

    /// Enables or disables a rule, the user's or the specification's.
    /// - Throws: `PushRuleError.notFound`.
    public mutating func setEnabled(_ kind: PushRule.Kind, _ id: String, _ isEnabled: Bool) throws(PushRuleError) {
        try change(kind, id) { $0.isEnabled = isEnabled }
    }

    /// Sets the actions of a rule, the user's or the specification's.
    /// - Parameter actions: a list of actions as clients send it.
    /// - Throws: `PushRuleError.notFound`, or `.invalid`.
    public mutating func setActions(_ kind: PushRule.Kind, _ id: String, _ actions: JSONValue?) throws(PushRuleError) {
        guard rule(kind, id) != nil else { throw .notFound }
        let actions = try PushAction.list(actions)
        try change(kind, id) { $0.actions = actions }
    }

    private mutating func change(_ kind: PushRule.Kind, _ id: String, _ change: (inout PushRule) -> Void)
        throws(PushRuleError)
    {
        if let index = own.firstIndex(where: { $0.kind == kind && $0.id == id }) {
            change(&own[index])
        } else if let index = defaults.firstIndex(where: { $0.kind == kind && $0.id == id }) {
            change(&defaults[index])
        } else {
            throw .notFound
        }
    }
}
