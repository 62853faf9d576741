/// What a user has not read of a room.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications>
struct UnreadTally: Sendable, Hashable {
    /// Events that notify, and those of them that highlight.
    struct Counts: Sendable, Hashable {
        var notifications = 0
        var highlights = 0
    }

    /// What is in no thread.
    var main = Counts()
    /// By the thread's root, only where something is unread.
    var threads: [String: Counts] = [:]
    /// Whether all events were looked at; if not, asking again goes on from there.
    var isComplete = true

    /// The room with its threads.
    var total: Counts {
        threads.values.reduce(into: main) { sum, counts in
            sum.notifications += counts.notifications
            sum.highlights += counts.highlights
        }
    }
}

/// How much may be looked at, in all rooms together, before a sync is answered.
struct UnreadBudget: Sendable {
    /// Rows of events.
    var rows = SyncLimits.unreadRows
    /// Events judged by push rules.
    var events = SyncLimits.unreadEvents

    var isSpent: Bool { rows <= 0 || events <= 0 }
}
