internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What a sync needs of several rooms, read by one question for all of them instead of one for each. Whatever is not here is
/// read when it is asked for, so that nothing but the cost depends on it.
struct RoomsAhead {
    /// The newest places of a room's timeline.
    struct Places {
        var after: Int64?
        var upTo: Int64
        var limit: Int
        /// The newest first.
        var list: [EventLog.Place]
    }

    /// The rooms that were looked at.
    private(set) var rooms: Set<Int64> = []
    private(set) var places: [Int64: Places] = [:]
    /// Events that are not here, to which a room's timeline refers.
    private(set) var gaps: [Int64: [EventID]] = [:]
    /// Receipts of rooms that are new to the client.
    private(set) var receipts: [Int64: [ReceiptStore.Receipt]] = [:]
    /// Rooms with sticky events.
    private(set) var sticky: Set<Int64> = []
    /// Events of the timelines, and those of them to which others relate.
    private(set) var shown: Set<Int64> = []
    private(set) var related: Set<Int64> = []

    /// Nothing.
    init() {}

    /// Whether a room may have sticky events.
    func mayHaveSticky(_ room: Int64) -> Bool { !rooms.contains(room) || sticky.contains(room) }

    /// Whether others may relate to an event of a room's timeline.
    func mayBeRelated(_ event: StoredEvent) -> Bool { !shown.contains(event.nid) || related.contains(event.nid) }

    /// The receipts of a room that is new to the client.
    func receipts(
        of room: Int64, known: SyncToken?, else read: () throws -> [ReceiptStore.Receipt]
    ) rethrows -> [ReceiptStore.Receipt] {
        guard known == nil, let places = places[room], places.after == nil else { return try read() }
        return receipts[room] ?? []
    }

    // MARK: Reading

    /// Reads ahead for a sync.
    /// - Parameter wanted: rooms the user is joined to, with where the client stands in those that it knows.
    /// - Throws: `DatabaseError`, `CorruptState`.
    init(_ wanted: [(room: SyncRoom, after: Int64?)], for assembly: SyncAssembly) throws {
        let (sync, connection) = (assembly.sync, assembly.connection)
        let (log, current) = (assembly.log, assembly.current.events)
        let events = sync.rooms.events
        let all = wanted.map(\.room.nid)
        rooms = Set(all)
        let new = wanted.filter { $0.after == nil }.map(\.room)
        receipts = try ReceiptStore(connection).receipts(
            rooms: new.map(\.nid), readableBy: assembly.request.user, limit: SyncLimits.receiptsPerRoom)
        sticky = try StickyEventStore(connection).rooms(among: all, now: assembly.request.now)
        gaps = try log.backwardExtremities(rooms: all)

        let limit = assembly.timelineLimit + 1
        let found = try log.newestPlaces(
            of: Dictionary(wanted.map { ($0.room.nid, $0.after) }) { $1 }, upTo: current, limit: limit)
        for (room, after) in wanted {
            places[room.nid] = Places(after: after, upTo: current, limit: limit, list: found[room.nid] ?? [])
        }
        shown = Set(found.values.joined().map(\.nid))
        let told = try events.events(shown.union(wanted.map(\.room.memberNID)), from: log)
        related = try RelationStore(connection).related(among: shown)

        try readStates(of: new, told, assembly)
        try sync.summaries.prepare(wanted.map(\.room), connection)
    }

    /// The states of rooms that are new to the client, and what visibility is judged by, with the events of all these.
    private func readStates(of new: [SyncRoom], _ told: [Int64: StoredEvent], _ assembly: SyncAssembly) throws {
        let request = assembly.request
        var senders: [Int64: Set<String>] = [:]
        for event in told.values { senders[event.roomNID, default: []].insert(event.pdu.sender.text) }
        var whole: [StateRoot: Int64] = [:]
        for room in new {
            // The state is told as of the timeline's first event, which another may have brought about.
            whole[room.stateAtNewest] = room.nid
            let first = places[room.nid]?.list.dropLast(places[room.nid]?.isFull == true ? 1 : 0).last
            if let root = first.flatMap({ told[$0.nid]?.stateAfter }) { whole[root] = room.nid }
        }
        let tops = Set(told.values.compactMap(\.stateAfter))
        let loaded = try assembly.states.load(
            whole: Set(whole.keys), tops: tops, limit: SyncLimits.stateEntriesAhead)
        var nids = Set(told.values.compactMap(\.replaces))
        for (root, entries) in loaded {
            let needed = whole[root].flatMap { senders[$0] } ?? []
            for entry in entries
            where !request.filter.lazyLoadsMembers || entry.key.type != .member || needed.contains(entry.key.stateKey) {
                nids.insert(entry.event)
            }
        }
        let (events, log) = (assembly.sync.rooms.events, assembly.log)
        // What is more than this is read with its room, so that it is not all in memory.
        let state = try events.events(Array(nids.prefix(SyncLimits.stateEventsAhead)), from: log)
        _ = try events.events(Set(state.values.compactMap(\.replaces)), from: log)
    }
}

extension RoomsAhead.Places {
    /// Whether there may be more places than were read.
    var isFull: Bool { list.count == limit }
}
