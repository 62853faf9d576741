/// The limits of syncing and of reading rooms.
enum SyncLimits {
    /// Bytes of a token.
    static let tokenBytes = 200
    /// Positions above this are no positions of ours: JSON's greatest safe integer.
    static let greatestPosition: Int64 = 9_007_199_254_740_991
    /// Rooms whose local members are kept for waking syncs.
    static let audienceRooms = 20_000
    /// Members kept in all those rooms together.
    static let audienceMembers = 1_000_000
    /// How long syncs that many others are woken with wait for more of the kind: new presence and device lists.
    static let wakeInterval = Duration.milliseconds(250)
    /// After so many of these intervals the streams' positions are read again, in case a notification was lost.
    static let intervalsPerCheck = 20
    /// Devices of which it is kept how far their messages were acknowledged, in bytes.
    static let acknowledgedBytes = 2 << 20
    /// Bytes of events written for clients that are kept.
    static let eventTextBytes = 32 << 20
    /// Bytes of room summaries kept.
    static let summaryBytes = 8 << 20
    /// Bytes of unread counts and push rules kept.
    static let unreadBytes = 8 << 20
    /// Rows of events looked at for the unread counts of one answer; the next one goes on from there.
    static let unreadRows = 20_000
    /// The same, at once.
    static let unreadRowsPerStep = 1_000
    /// Rooms of which a sync reads at once what it needs.
    static let roomsAhead = 100
    /// Entries of a room's state above which it is read by itself, and events of states that are read at once.
    static let stateEntriesAhead = 500
    static let stateEventsAhead = 10_000
    /// Rows of one room's events read at once with those of others, for unread counts.
    static let unreadRowsAhead = 100
    /// Events judged by push rules for the unread counts of one answer.
    static let unreadEvents = 2_000
    /// Events judged for a user's counts of a room after which these are written down.
    static let unreadEventsUnsaved = 8
    /// Unread threads of one room that are counted apart; those beyond count with the room.
    static let unreadThreads = 1_000
    /// Relations followed from an event to the thread it is in.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts>
    static let threadHops = 3
    /// Heroes of a room. Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync_response-200_roomsummary>
    static let heroes = 5
    /// Sticky events of one room beside its timeline.
    static let stickyPerRoom = 1_000
    /// Receipts of one room in a first sync.
    static let receiptsPerRoom = 2_000
    /// Users who type in one room at a time.
    static let typingPerRoom = 100
    /// Events read, in all, to fill one timeline of which the filter leaves little.
    static let eventsScanned = 2_000
    /// Membership events of a user walked back, to see when the user joined.
    static let membershipSteps = 100
    /// Entries of one list of a filter.
    static let filterEntries = 1_000
    /// Parsed filters kept, in bytes.
    static let filterBytes = 4 << 20
    /// Thread subscriptions in a page.
    static let threadSubscriptionsPage = 512
    /// Rooms in a page of those shared with another user.
    static let mutualRoomsPage = 100
    /// Events in one answer of the old event stream.
    static let eventStreamPage = 100
    /// Rooms in a page of the public directory.
    static let publicRoomsPage = 500
    /// Receipts and presences taken from one EDU.
    static let itemsPerEDU = 1_000
    /// Users whose presence is followed on this node.
    static let presentUsers = 50_000
    /// Milliseconds without a sync after which a user is offline.
    static let offlineAfter: Int64 = 30_000
    /// Milliseconds within which a user was active to count as currently active.
    static let currentlyActive: Int64 = 60_000
    /// Bytes of a status message.
    static let statusBytes = 1_024
    /// Lists of one request of sliding sync. Spec: MSC4186, `lists`
    static let slidingLists = 100
    /// Subscriptions of one. Spec: MSC4186, `room_subscriptions`
    static let slidingSubscriptions = 100
    /// Subscriptions of one in the shape of before, which names no bound.
    static let slidingSubscriptionsOfOld = 1_000
    /// Ranges of one list in the shape of before.
    static let slidingRanges = 100
    /// Bytes of a `conn_id`.
    static let connectionNameBytes = 255
    /// Entries of `required_state`, each.
    static let stateRules = 200
    /// Different wishes for a room's state that are remembered of a connection.
    static let stateConfigsRemembered = 200
    /// Membership events remembered as sent, of each room of a connection.
    static let membersRemembered = 100
    /// Answers of a connection kept that the client is not known to have: it may have given up some requests, and has one.
    static let slidingAnswersKept = 8
    /// Milliseconds after which it is noted again that a connection is in use.
    static let slidingUseInterval: Int64 = 3_600_000
    /// Bytes of what connections were sent, kept in memory.
    static let slidingStateBytes = 32 << 20
    /// Connections that are ended in one transaction.
    static let slidingEndedAtOnce = 500
    /// Bytes of what rooms are filtered by, kept in memory.
    static let traitBytes = 4 << 20
    /// Events looked through for the newest one that moves a room up.
    static let bumpEvents = 1_000
    /// State keys of a type that are looked up one by one; of more the whole state is read.
    static let keysOfType = 500
    /// Events closest to a time of which the first that may be seen is the answer.
    static let timestampCandidates = 100
}
