internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The stretch of a room's timeline that a client is shown.
struct TimelineWindow {
    struct Entry {
        var event: StoredEvent
        var position: Int64
        /// The reader's membership at the event.
        var membership: Membership
    }

    /// The oldest first.
    var entries: [Entry] = []
    /// Whether there are events between the stretch's begin and where the client stands.
    var isLimited = false
    /// The stretch ends behind this position.
    var end: Int64

    /// The point where the stretch begins.
    var start: TimelineToken {
        entries.first.map { TimelineToken(before: $0.position) } ?? TimelineToken(after: end)
    }
}

/// Reads stretches of timelines: filtered, and only what the user may see.
struct TimelineReading {
    let rooms: RoomReader
    let connection: any SQLConnection
    let visibility: TimelineVisibility
    let filter: EventFilter
    /// Users whose messages are not shown.
    let ignored: Set<String>
    /// Events that are not here, with those before them: a stretch begins behind such a gap.
    var gaps: Set<EventID> = []
    /// Places that were read already.
    var ahead: RoomsAhead.Places?

    init(
        rooms: RoomReader, connection: any SQLConnection, visibility: TimelineVisibility, filter: EventFilter,
        ignored: Set<String>, gaps: Set<EventID> = []
    ) {
        self.rooms = rooms
        self.connection = connection
        self.visibility = visibility
        self.filter = filter
        self.ignored = ignored
        self.gaps = gaps
    }

    /// Reads a room of a sync.
    /// - Throws: `DatabaseError`.
    init(
        _ room: SyncRoom, for user: UserID, filter: EventFilter, ignoring ignored: Set<String>, _ rooms: RoomReader,
        _ connection: any SQLConnection, ahead: RoomsAhead = RoomsAhead()
    ) throws {
        let gaps =
            ahead.rooms.contains(room.nid)
            ? ahead.gaps[room.nid] ?? [] : try rooms.log(connection).backwardExtremities(room: room.nid)
        self.init(
            rooms: rooms, connection: connection,
            visibility: try TimelineVisibility(
                rooms: rooms, connection: connection, user: user, roomNID: room.nid, membership: room.membership,
                memberNID: room.memberNID),
            filter: filter, ignored: ignored, gaps: Set(gaps))
        self.ahead = ahead.places[room.nid]
    }

    /// A stretch of events: `after` < position <= `upTo`.
    /// - Returns: the entries in the order of reading, whether there may be more, the last place that was looked at, and the
    ///   event there if what comes before it is missing.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func read(
        after: Int64?, upTo: Int64?, limit: Int, newestFirst: Bool
    ) throws -> (entries: [TimelineWindow.Entry], hasMore: Bool, reached: Int64?, gapEvent: StoredEvent?) {
        let log = rooms.log(connection)
        var entries: [TimelineWindow.Entry] = []
        var (low, high) = (after, upTo)
        var scanned = 0
        var reached: Int64?
        while scanned < SyncLimits.eventsScanned {
            // One more than asked for tells whether there is more.
            let count = limit - entries.count + 1
            let places =
                try placesAhead(after: low, upTo: high, count, newestFirst)
                ?? log.places(
                    room: visibility.roomNID, after: low, upTo: high, limit: count, newestFirst: newestFirst)
            scanned += places.count
            let events = try events(places, log)
            for place in places {
                if entries.count == limit { return (entries, true, reached, nil) }
                reached = place.position
                guard let event = events[place.nid] else { continue }
                if try allows(event) {
                    let seen = try visibility.look(event, at: place.position)
                    if seen.isVisible {
                        entries.append(.init(event: event, position: place.position, membership: seen.membership))
                    }
                }
                if !gaps.isEmpty, event.pdu.prevEvents.contains(where: gaps.contains) {
                    return (entries, true, reached, event)
                }
            }
            guard places.count == count, let last = places.last else { return (entries, false, reached, nil) }
            if newestFirst { high = last.position - 1 } else { low = last.position }
        }
        return (entries, true, reached, nil)
    }

    private func placesAhead(after: Int64?, upTo: Int64?, _ limit: Int, _ newestFirst: Bool) -> [EventLog.Place]? {
        guard newestFirst, let ahead, ahead.after == after, ahead.upTo == upTo, ahead.limit == limit else { return nil }
        return ahead.list
    }

    private func allows(_ event: StoredEvent) throws -> Bool {
        if !event.pdu.isState, ignored.contains(event.pdu.sender.text) { return false }
        guard filter.allows(event.pdu) else { return false }
        guard filter.relatedByTypes != nil || filter.relatedBySenders != nil else { return true }
        return try RelationStore(connection).isRelated(
            to: event.id, room: visibility.roomNID, types: filter.relatedByTypes, senders: filter.relatedBySenders)
    }

    /// The events of places. One that was cached before it had a place is read again.
    private func events(_ places: [EventLog.Place], _ log: EventLog) throws -> [Int64: StoredEvent] {
        var events = try rooms.events.events(places.map(\.nid), from: log)
        let stale = places.filter { events[$0.nid]?.position != $0.position }.map(\.nid)
        if !stale.isEmpty {
            for (nid, event) in try log.events(nids: stale) {
                rooms.events.keep(event)
                events[nid] = event
            }
        }
        return events
    }
}

/// A room's state at a point: that of a root, in which one key is held by another event.
struct StatePoint {
    var root: StateRoot
    var changed: (key: StateKey, event: Int64?)?

    init(root: StateRoot) { self.root = root }

    /// The state just before an event.
    /// - Throws: `DatabaseError`.
    init(before event: StoredEvent, at position: Int64, _ log: EventLog) throws {
        if let after = event.stateAfter {
            root = after
            if let key = StateKey(of: event.pdu) { changed = (key, event.replaces) }
        } else {
            root = try log.stateRoot(room: event.roomNID, near: position - 1) ?? .empty
        }
    }

    /// The whole state.
    func all(_ reader: StateReader) throws -> [StateKey: Int64] {
        var state = try reader.all(at: root)
        if let changed { state[changed.key] = changed.event }
        return state
    }

    /// The events that hold some keys.
    func events(_ keys: [StateKey], _ reader: StateReader) throws -> [StateKey: Int64] {
        var found = try reader.events(at: root, keys: keys)
        if let changed, keys.contains(changed.key) { found[changed.key] = changed.event }
        return found
    }

    /// What is set here and was not, or differently, in another state. Keys that are no longer set are left out: clients
    /// cannot be told.
    func changes(since old: StateRoot, _ reader: StateReader) throws -> [StateKey: Int64] {
        var changes: [StateKey: Int64] = [:]
        for difference in try reader.difference(from: old, to: root) { changes[difference.key] = difference.new }
        if let changed {
            let before = try reader.event(at: old, changed.key.type, changed.key.stateKey)
            changes[changed.key] = changed.event == before ? nil : changed.event
        }
        return changes
    }
}
