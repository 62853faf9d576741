internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// One answer of sliding sync in the making, within one transaction. What it says of rooms is in `SlidingAssembly+Rooms.swift`,
/// the rest in `SlidingAssembly+Extensions.swift`.
struct SlidingAssembly {
    /// What other parts need to know of a room in the answer.
    struct Shown {
        /// Whether the client gets it as if it never had it.
        var isWhole: Bool
        var events: [EventID]
    }

    /// What was wanted of a room's state when it was sent, by number, and the list that it is in now.
    struct Coverage: Hashable {
        var config: Int
        var list: String
    }

    let reader: SlidingReader
    let request: SlidingRequest
    let connection: any SQLConnection
    let log: EventLog
    let states: StateReader
    let history: MembershipHistory
    /// Where the client stands; nil for a first request.
    let from: SyncToken?
    /// Where the server stands.
    let current: SyncToken
    /// Where the server stands in the stream `thread_subscriptions`.
    let currentThreads: Int64
    let ignored: Set<String>
    let eventReader: EventReader
    /// The account data that changed since; nil for a first request.
    let changedData: [AccountDataStore.Entry]?
    /// The receipts that changed since.
    let changedReceipts: [ReceiptStore.Receipt]
    let session: SlidingSession

    var state: SlidingState
    var list: SlidingRoomList
    /// The rooms that the request is about.
    var wanted: [RoomID: SlidingRoomList.Wanted] = [:]
    var counts: [String: Int] = [:]
    /// The rooms of all lists and subscriptions, within the ranges or not.
    var matched: Set<RoomID> = []
    /// The rooms in the answer.
    var shown: [RoomID: Shown] = [:]
    var rooms = JSONWriter()
    var hasNews = false
    /// When the push rules changed, once that was asked for.
    var pushRulesPosition: Int64?
    /// What was known of the rooms' unread counts, and how much may still be looked at for them.
    var counting = UnreadCounts.Batch()
    var budget = UnreadBudget()
    /// Whether what was wanted of states covers what lists want now.
    var coverage: [Coverage: Bool] = [:]
    /// The keys of types of state, once they were asked for; nil for very many.
    var keysOfTypes: [EventType: [StateKey]?] = [:]

    var sync: SyncReader { reader.sync }

    init(
        _ reader: SlidingReader, _ request: SlidingRequest, _ session: SlidingSession, now: Int64,
        _ connection: any SQLConnection
    ) throws {
        self.reader = reader
        self.request = request
        self.session = session
        self.connection = connection
        let sync = reader.sync
        log = sync.rooms.log(connection)
        states = StateReader(connection, sync.rooms.states)
        history = MembershipHistory(rooms: sync.rooms, connection: connection, user: request.user)
        from = session.token
        let positions = try StreamPositions(connection).current()
        current = SyncToken(positions)
        currentThreads = positions["thread_subscriptions"] ?? 0
        ignored = try IgnoredUsers.of(request.user, sync.environment.sealer, connection)
        eventReader = EventReader(user: request.user, device: request.device, now: now)
        if let from {
            changedData =
                from.accountData < current.accountData
                ? try AccountDataStore(connection, sync.environment.sealer).changes(
                    request.user, after: from.accountData, upTo: current.accountData) : []
            changedReceipts = try ReceiptStore(connection).changes(
                for: request.user, after: from.receipts, upTo: current.receipts)
        } else {
            (changedData, changedReceipts) = (nil, [])
        }
        state = session.state
        list = SlidingRoomList(reader, request.user, from: from, current: current, connection)
        // Clients have connections for keys alone, which rooms do not matter to.
        if !request.lists.isEmpty || !request.subscriptions.isEmpty || !session.state.rooms.isEmpty {
            try list.find(sent: session.state, ignoring: ignored)
        }
        rooms.beginObject()
    }

    /// The whole answer.
    mutating func finish() throws -> SlidingAnswer {
        rooms.endObject()
        let extensions = try self.extensions()
        noteMissedRooms()
        var writer = JSONWriter(reserving: rooms.bytes.count + extensions.bytes.count + 256)
        writer.beginObject()
        if !counts.isEmpty {
            writer.key("lists")
            writer.beginObject()
            for (name, count) in counts.sorted(by: { $0.key < $1.key }) {
                writer.key(name)
                writer.beginObject()
                writer.key("count")
                writer.integer(count)
                writer.endObject()
            }
            writer.endObject()
        }
        writer.key("rooms")
        writer.raw(rooms.bytes)
        writer.key("extensions")
        writer.raw(extensions.bytes)
        writer.endObject()
        var next = session
        next.token = current
        next.threads = currentThreads
        next.state = state
        return SlidingAnswer(
            body: Array(writer.bytes.dropFirst()), session: next, hasNews: hasNews, acknowledges: try acknowledges())
    }

    private func acknowledges() throws -> Int64? {
        guard let device = request.device, let since = toDeviceSince else { return nil }
        if try sync.acknowledges(request.user, device, upTo: since, connection) { return since }
        sync.noteAcknowledged(request.user, device, since)
        return nil
    }

    /// Where the client stands in the stream `to_device`, but not ahead of it.
    var toDeviceSince: Int64? {
        request.extensions.toDevice?.since.map { min($0, current.toDevice) }
    }

    /// Rooms with news that the request is not about are remembered as sent up to where the client stands.
    private mutating func noteMissedRooms() {
        guard let from else { return }
        for (id, record) in state.rooms where wanted[id] == nil {
            guard let entry = list.entries[id] else {
                // It was left, and the client knows.
                state[id] = nil
                continue
            }
            if record.events == .now, entry.activity > from.events { state[id]?.events.miss(at: from.events) }
        }
    }
}
