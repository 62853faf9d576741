public import MatrixModel

/// What decides who may see an event: the room's history visibility in the state before it, and after it where the event
/// is itself the `m.room.history_visibility`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility>
public struct EventAudience: Sendable, Hashable {
    /// The visibility in the state before the event.
    public var before: HistoryVisibility
    /// The visibility in the state after the event.
    public var after: HistoryVisibility

    /// The audience of an event; without `after`, of one that does not change the visibility.
    public init(_ before: HistoryVisibility, after: HistoryVisibility? = nil) {
        self.before = before
        self.after = after ?? before
    }

    /// Where a user stood to the room when the event was sent, and since.
    public struct Viewer: Sendable, Hashable {
        /// The membership in the state before the event; `nil` if there is none.
        public var before: Membership?
        /// The membership in the state after the event: another one if the event is the user's own `m.room.member`.
        public var after: Membership?
        /// Whether the user joined the room at any point after the event.
        public var joinedLater: Bool

        /// A viewer; without `after`, of an event that does not change the user's membership.
        public init(_ before: Membership?, after: Membership?? = nil, joinedLater: Bool) {
            self.before = before
            self.after = after ?? before
            self.joinedLater = joinedLater
        }
    }

    /// Whether a user may see the event. Both the visibility and the user's own membership count as they were before or as
    /// they are after the event, whichever shows more.
    public func userCanSee(_ viewer: Viewer) -> Bool {
        for visibility in [before, after] {
            for membership in [viewer.before, viewer.after]
            where Self.allows(visibility, membership, joinedLater: viewer.joinedLater) {
                return true
            }
        }
        return false
    }

    /// Whether a server may see the event: if any of its users that were joined or invited, or joined later, may. Else it
    /// gets the event redacted, for it may need it for the graph.
    public func serverCanSee(_ users: some Sequence<Viewer>) -> Bool {
        if before == .worldReadable || after == .worldReadable { return true }
        return users.contains { userCanSee($0) }
    }

    /// The rules for one visibility and one membership, in the specification's order.
    private static func allows(_ visibility: HistoryVisibility, _ membership: Membership?, joinedLater: Bool) -> Bool {
        // 1. If the history_visibility was set to world_readable, allow.
        if visibility == .worldReadable { return true }
        // 2. If the user's membership was join, allow.
        if membership == .join { return true }
        // 3. If history_visibility was set to shared, and the user joined the room at any point after the event was sent,
        // allow.
        if visibility == .shared, joinedLater { return true }
        // 4. If the user's membership was invite, and the history_visibility was set to invited, allow.
        if membership == .invite, visibility == .invited { return true }
        // 5. Otherwise, deny.
        return false
    }
}

extension HistoryVisibility {
    /// Whether a user may see an event at which this was the visibility, and which changes neither it nor the user's
    /// membership: see `EventAudience` for those that do.
    /// - Parameters:
    ///   - membership: the user's membership at the event.
    ///   - joinedLater: whether the user joined at any point after it.
    public func userCanSee(membership: Membership?, joinedLater: Bool) -> Bool {
        EventAudience(self).userCanSee(.init(membership, joinedLater: joinedLater))
    }
}
