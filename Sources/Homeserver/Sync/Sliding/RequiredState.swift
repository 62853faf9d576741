internal import MatrixModel
internal import MatrixRooms

/// Which of a room's state a client of sliding sync wants: what any of the rules allows, and the members of use to it.
/// Spec: MSC4186, `required_state`.
struct RequiredState: Sendable, Hashable {
    /// A type and a key; nil stands for any.
    struct Pattern: Sendable, Hashable {
        var type: String?
        var stateKey: String?

        func matches(_ key: StateKey) -> Bool {
            type.map { $0.utf8.elementsEqual(key.type.text.utf8) } ?? true
                && stateKey.map { $0.utf8.elementsEqual(key.stateKey.utf8) } ?? true
        }
    }

    /// One thing that is wanted, unless something beside it forbids it.
    struct Rule: Sendable, Hashable {
        var pattern: Pattern
        var exclude: Set<Pattern> = []
        /// Whether "any type" means any but members, for these are loaded when they are of use.
        var leavesMembers = false

        func allows(_ key: StateKey) -> Bool {
            if leavesMembers, key.type == .member { return false }
            return pattern.matches(key) && !exclude.contains { $0.matches(key) }
        }

        /// Whether it says all there is.
        fileprivate var isWhole: Bool { pattern == Pattern() && exclude.isEmpty && !leavesMembers }
    }

    var rules: Set<Rule> = []
    /// Whether the members who matter to the timeline are wanted.
    var lazyMembers = false

    func allows(_ key: StateKey) -> Bool { rules.contains { $0.allows(key) } }

    /// Whether all members may be wanted, so that a room of which these are not known cannot be shown.
    var wantsAllMembers: Bool {
        rules.contains { rule in
            guard rule.pattern.stateKey == nil, !rule.leavesMembers else { return false }
            return rule.pattern.type == nil || rule.pattern.type == EventType.member.text
        }
    }

    /// Whether all that `other` wants is wanted here too, as far as is plain to see.
    func covers(_ other: RequiredState) -> Bool {
        if other.lazyMembers, !lazyMembers { return false }
        return rules.contains { $0.isWhole } || rules.isSuperset(of: other.rules)
    }

    mutating func formUnion(_ other: RequiredState) {
        rules.formUnion(other.rules)
        lazyMembers = lazyMembers || other.lazyMembers
    }

    // MARK: As it is stored

    private static func json(_ pattern: Pattern) -> JSONValue {
        .fields(["t": pattern.type.map { .string($0) }, "k": pattern.stateKey.map { .string($0) }])
    }

    private static func pattern(_ json: JSONView) -> Pattern {
        Pattern(type: json["t"]?.string, stateKey: json["k"]?.string)
    }

    /// The same for the same rules.
    var json: JSONValue {
        let rules = self.rules.map { rule -> JSONValue in
            let exclude = rule.exclude.map { Self.json($0) }.sorted { Self.precedes($0, $1) }
            return .fields([
                "p": Self.json(rule.pattern), "x": exclude.isEmpty ? nil : .array(exclude),
                "m": rule.leavesMembers ? true : nil,
            ])
        }
        return ["l": .bool(lazyMembers), "r": .array(rules.sorted { Self.precedes($0, $1) })]
    }

    private static func precedes(_ left: JSONValue, _ right: JSONValue) -> Bool {
        left.serialized().lexicographicallyPrecedes(right.serialized())
    }

    init() {}

    /// Reads what was stored.
    init(_ json: JSONView) {
        lazyMembers = json["l"]?.bool ?? false
        for rule in json["r"]?.elements ?? [] {
            guard let pattern = rule["p"] else { continue }
            rules.insert(
                Rule(
                    pattern: Self.pattern(pattern), exclude: Set((rule["x"]?.elements ?? []).map(Self.pattern)),
                    leavesMembers: rule["m"]?.bool ?? false))
        }
    }
}
