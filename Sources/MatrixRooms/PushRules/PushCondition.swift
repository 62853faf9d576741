public import MatrixModel

/// What must hold of an event for a push rule to match.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#conditions-1>
public struct PushCondition: Sendable, Hashable {
    /// The conditions we know.
    public enum Test: Sendable, Hashable {
        /// A string property matches a pattern: the whole of it, or of `content.body` some words.
        case eventMatch(PropertyPath, Glob?)
        /// A property is exactly this string, integer, boolean or null.
        case eventPropertyIs(PropertyPath, JSONValue)
        /// A list has exactly this string, integer, boolean or null among its elements.
        case eventPropertyContains(PropertyPath, JSONValue)
        /// The room has so many joined members.
        case roomMemberCount(MemberCount)
        /// The sender has the power level that such a notification takes.
        case senderNotificationPermission(String)
        /// The event is in a thread, and the user follows that, or does not.
        /// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4306>
        case threadSubscription(Bool)
        /// Something else, which holds of no event.
        case unknown
    }

    /// The condition as clients wrote it.
    public let json: JSONValue
    /// What it means.
    public let test: Test

    /// Reads a condition; one of an unknown kind, or with odd parameters, holds of no event.
    public init(_ json: JSONValue) {
        self.json = json
        test = Self.test(of: json) ?? .unknown
    }

    static let threadSubscription = "io.element.msc4306.thread_subscription"

    /// `nil` if it is of a known kind, but with odd parameters.
    private static func test(of json: JSONValue) -> Test? {
        let path = json["key"]?.string.map(PropertyPath.init)
        switch json["kind"]?.string {
        case "event_match":
            guard let path, let pattern = json["pattern"]?.string else { return nil }
            return .eventMatch(path, Glob(pattern))
        case "event_property_is":
            guard let path, let value = json["value"], isScalar(value.kind) else { return nil }
            return .eventPropertyIs(path, value)
        case "event_property_contains":
            guard let path, let value = json["value"], isScalar(value.kind) else { return nil }
            return .eventPropertyContains(path, value)
        case "room_member_count":
            return json["is"]?.string.flatMap(MemberCount.init).map(Test.roomMemberCount)
        case "sender_notification_permission":
            return json["key"]?.string.map(Test.senderNotificationPermission)
        case threadSubscription:
            return json["subscribed"]?.bool.map(Test.threadSubscription)
        default:
            return .unknown
        }
    }

    /// The conditions of a list, as a user sends it.
    /// - Throws: `PushRuleError.invalid` if it is no list, too long, or one of a known kind has odd parameters.
    static func list(_ json: JSONValue?) throws(PushRuleError) -> [PushCondition] {
        guard let json else { return [] }
        guard let elements = json.array else { throw .invalid("conditions is not an array") }
        guard elements.count <= PushRuleLimits.conditions else { throw .invalid("too many conditions") }
        var conditions: [PushCondition] = []
        for element in elements {
            guard let kind = element["kind"]?.string else { throw .invalid("a condition has no kind") }
            guard let test = test(of: element) else { throw .invalid("a parameter of \(kind) is wrong") }
            if case .eventMatch(_, nil) = test { throw .invalid("the pattern is too long") }
            conditions.append(PushCondition(element))
        }
        return conditions
    }

    /// Whether a property of this kind can be compared.
    static func isScalar(_ kind: JSONKind) -> Bool {
        switch kind {
        case .string, .integer, .bool, .null: true
        case .number, .array, .object: false
        }
    }
}

/// A number of members, as in `2` or `>=10`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#conditions-1>
public struct MemberCount: Sendable, Hashable {
    private enum Comparison: String, CaseIterable {
        case equal = "==", atMost = "<=", atLeast = ">=", less = "<", greater = ">"
    }

    private let comparison: Comparison
    private let number: Int

    /// `nil` if it is no decimal integer behind one of the signs.
    public init?(_ text: String) {
        comparison = Comparison.allCases.first { text.hasPrefix($0.rawValue) } ?? .equal
        let digits = text.hasPrefix(comparison.rawValue) ? text.dropFirst(comparison.rawValue.count) : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits) else {
            return nil
        }
        self.number = number
    }

    /// Whether a room with so many members is meant.
    public func allows(_ count: Int) -> Bool {
        switch comparison {
        case .equal: count == number
        case .atMost: count <= number
        case .atLeast: count >= number
        case .less: count < number
        case .greater: count > number
        }
    }
}
