public import MatrixModel

/// What happens when a push rule matches.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#actions>
public enum PushAction: Sendable, Hashable {
    /// Notify the user.
    case notify
    /// Say so much about how; without a value, what the tweak's name means by default.
    case setTweak(String, JSONValue?)

    public static let highlight = PushAction.setTweak("highlight", nil)

    /// A sound by its name; `default` is one.
    public static func sound(_ name: String) -> PushAction { .setTweak("sound", .string(name)) }

    /// `nil` if it is no action we know; the historical `dont_notify` and `coalesce` mean nothing and are none either.
    public init?(_ json: JSONValue) {
        if json.string == "notify" {
            self = .notify
        } else if let tweak = json["set_tweak"]?.string {
            self = .setTweak(tweak, json["value"])
        } else {
            return nil
        }
    }

    /// The action as clients read it.
    public var json: JSONValue {
        switch self {
        case .notify: "notify"
        case .setTweak(let name, let value): .fields(["set_tweak": .string(name), "value": value])
        }
    }

    /// The actions of a list, without historical ones.
    /// - Throws: `PushRuleError.invalid` if it is no list, too long, or holds something else.
    static func list(_ json: JSONValue?) throws(PushRuleError) -> [PushAction] {
        guard let elements = json?.array else { throw .invalid("actions is not an array") }
        guard elements.count <= PushRuleLimits.actions else { throw .invalid("too many actions") }
        var actions: [PushAction] = []
        for element in elements where element.string != "dont_notify" && element.string != "coalesce" {
            guard let action = PushAction(element) else { throw .invalid("an action is neither notify nor set_tweak") }
            actions.append(action)
        }
        return actions
    }
}
