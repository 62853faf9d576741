public import MatrixModel

/// How long the messages of a room are kept: as its state event `m.room.retention` says, within what the operator allows, and
/// where it says nothing as the operator has it. State events are kept.
/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/1763>
public struct RetentionPolicy: Sendable, Hashable {
    /// The state event's type, with the empty state key.
    static let eventType: EventType = "m.room.retention"

    private static let day: Int64 = 86_400_000

    /// Milliseconds after which a message goes; nil: never.
    public let lifetime: Int64?

    /// The policy of a room.
    /// - Parameter content: that of the state event, if the room has one.
    public init(_ content: JSONView?, _ configuration: HomeserverConfiguration.Retention) {
        let said = content.flatMap { Self.milliseconds($0["max_lifetime"]) }
        let least = content.flatMap { Self.milliseconds($0["min_lifetime"]) }
        let (shortest, longest) = (configuration.minimumDays, configuration.maximumDays)
        func bounded(_ lifetime: Int64) -> Int64 {
            max(min(lifetime, longest.map { $0 * Self.day } ?? .max), shortest.map { $0 * Self.day } ?? 0)
        }
        guard var lifetime = said.map(bounded) ?? configuration.defaultDays.map({ $0 * Self.day }) else {
            self.lifetime = nil
            return
        }
        // What a room wants to be kept so long is, as far as the operator lets it.
        if let least { lifetime = max(lifetime, bounded(least)) }
        self.lifetime = lifetime
    }

    /// A positive number of milliseconds; anything else says nothing.
    private static func milliseconds(_ value: JSONView?) -> Int64? {
        guard let number = value?.integer, number > 0 else { return nil }
        return number
    }
}
