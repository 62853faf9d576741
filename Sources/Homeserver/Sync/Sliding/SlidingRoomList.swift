internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The rooms that a user's lists choose from, the most recently active first, and which of them a request is about.
/// Spec: MSC4186, Lists and subscriptions.
struct SlidingRoomList {
    /// A room that a request is about.
    struct Wanted {
        var entry: SlidingEntry
        var config: SlidingRoomConfig
        /// The lists in whose ranges it is.
        var lists: [String] = []
        var isSubscribed = false
    }

    let reader: SlidingReader
    let user: UserID
    let connection: any SQLConnection
    /// Where the client stood; nil for a first request.
    let from: SyncToken?
    let current: SyncToken
    private let log: EventLog
    private(set) var entries: [RoomID: SlidingEntry] = [:]
    private(set) var direct: Set<RoomID>?
    private var tags: [RoomID: Set<String>]?

    /// A list without rooms.
    init(
        _ reader: SlidingReader, _ user: UserID, from: SyncToken?, current: SyncToken, _ connection: any SQLConnection
    ) {
        self.reader = reader
        self.user = user
        self.connection = connection
        self.from = from
        self.current = current
        log = reader.sync.rooms.log(connection)
    }

    /// Finds the rooms.
    /// - Parameters:
    ///   - sent: what the client was sent before.
    ///   - ignored: users whose invites are not shown.
    /// - Throws: `DatabaseError`, `CorruptState`.
    mutating func find(sent: SlidingState, ignoring ignored: Set<String>) throws {
        let history = MembershipHistory(rooms: reader.sync.rooms, connection: connection, user: user)
        let blocksInvites = try InviteBlocking.isOn(for: user, reader.sync.environment.sealer, connection)
        for room in try SyncRooms(connection).listed(for: user) {
            switch room.membership {
            case .invite where blocksInvites: continue
            case .invite: if try isInvite(room.memberNID, from: ignored) { continue }
            // Who never was in a room is not told of having been put out of it.
            case .leave, .ban: if sent[room.id] == nil, try !history.hasJoined(room.memberNID) { continue }
            case .join, .knock: break
            }
            entries[room.id] = SlidingEntry(room)
        }
        for invite in try RoomStore(connection).invites(of: user, sealer: reader.sync.environment.sealer)
        where !ignored.contains(invite.sender.text) && !(blocksInvites && invite.membership == .invite)
            && entries[invite.roomID]?.membership != .join
        {
            entries[invite.roomID] = SlidingEntry(invite)
        }
        try addDeparted(sent)
    }

    private func isInvite(_ nid: Int64, from ignored: Set<String>) throws -> Bool {
        guard !ignored.isEmpty else { return false }
        let event = try reader.sync.rooms.events.events([nid], from: log)[nid]
        return event.map { ignored.contains($0.pdu.sender.text) } ?? true
    }

    /// Rooms that the client was sent and that the user left since; they stay until the client knows.
    private mutating func addDeparted(_ sent: SlidingState) throws {
        guard let from else { return }
        let missing = sent.rooms.filter { entries[$0.key] == nil }
        guard !missing.isEmpty else { return }
        for room in try SyncRooms(connection).named(missing.keys, of: user, includingForgotten: true)
        where room.membership == .leave || room.membership == .ban {
            guard let known = missing[room.id]?.events.position(at: from.events), room.memberPosition > known else {
                continue
            }
            entries[room.id] = SlidingEntry(room)
        }
        let invites = missing.filter { $0.value.isInvite && entries[$0.key] == nil }
        guard let oldest = invites.values.compactMap({ $0.events.position(at: from.events) }).min() else { return }
        for id in try RoomStore(connection).invitesWithdrawn(of: user, after: oldest, upTo: current.events)
        where invites[id] != nil {
            entries[id] = SlidingEntry(withdrawn: id, at: current.events)
        }
    }

    // MARK: Choosing

    /// What the lists and subscriptions choose, how many rooms each list has, and which rooms any of them is about.
    /// - Throws: `DatabaseError`, `CorruptState`.
    mutating func choose(
        _ request: SlidingRequest
    ) throws -> (wanted: [RoomID: Wanted], counts: [String: Int], matched: Set<RoomID>) {
        var wanted: [RoomID: Wanted] = [:]
        var counts: [String: Int] = [:]
        var matched = Set(request.subscriptions.keys)
        let sorted =
            request.lists.isEmpty
            ? [] : entries.values.sorted { ($1.activity, $1.id) < ($0.activity, $0.id) }
        for list in request.lists {
            let shown = try filtered(sorted, list.filter)
            counts[list.name] = shown.count
            if request.extensions.sticky != nil { matched.formUnion(shown.map(\.id)) }
            var indexes: Set<Int> = []
            for range in list.ranges ?? [0...Int.max] where range.lowerBound < shown.count {
                indexes.formUnion(range.lowerBound...min(range.upperBound, shown.count - 1))
            }
            for index in indexes {
                let entry = shown[index]
                wanted[entry.id, default: Wanted(entry: entry, config: list.config)].config.formUnion(list.config)
                wanted[entry.id]?.lists.append(list.name)
            }
        }
        let others = request.subscriptions.keys.filter { entries[$0] == nil }
        for room in others.isEmpty
            ? [] : try SyncRooms(connection).named(others, of: user, includingForgotten: false)
        where room.membership == .leave || room.membership == .ban {
            entries[room.id] = SlidingEntry(room)
        }
        for (id, config) in request.subscriptions {
            guard let entry = entries[id] else { continue }
            wanted[id, default: Wanted(entry: entry, config: config)].config.formUnion(config)
            wanted[id]?.isSubscribed = true
        }
        return (wanted, counts, matched)
    }

    private mutating func filtered(_ sorted: [SlidingEntry], _ filter: SlidingFilter) throws -> [SlidingEntry] {
        var shown = sorted
        if let isInvite = filter.isInvite { shown.removeAll { ($0.membership == .invite) != isInvite } }
        if let isDirect = filter.isDirect {
            let direct = try directRooms()
            shown.removeAll { direct.contains($0.id) != isDirect }
        }
        if let spaces = filter.spaces {
            var children: Set<RoomID> = []
            for space in spaces {
                guard let room = entries[space]?.room, room.membership == .join else { continue }
                children.formUnion(try reader.traits.children(at: room.state, connection))
            }
            shown.removeAll { !children.contains($0.id) }
        }
        if filter.needsTags {
            let tags = try roomTags()
            shown.removeAll { !filter.allows(tags: tags[$0.id] ?? []) }
        }
        if filter.needsState { shown = try shown.filter { filter.allows(try traits($0)) } }
        return shown
    }

    private func traits(_ entry: SlidingEntry) throws -> RoomTraits {
        switch entry.kind {
        case .room(let room) where room.membership == .join:
            return try reader.traits.traits(at: room.state, connection)
        case .room(let room):
            // What happened since is not theirs to know.
            let event = try reader.sync.rooms.events.events([room.memberNID], from: log)[room.memberNID]
            return try event?.stateAfter.map { try reader.traits.traits(at: $0, connection) } ?? RoomTraits()
        case .invite(let invite):
            return (try? JSONDocument(invite.strippedState)).map { RoomTraits(stripped: $0.root) } ?? RoomTraits()
        case .withdrawn: return RoomTraits()
        }
    }

    /// The rooms that the user's account data calls direct.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#direct-messaging>
    /// - Throws: `DatabaseError`.
    mutating func directRooms() throws -> Set<RoomID> {
        if let direct { return direct }
        let store = AccountDataStore(connection, reader.sync.environment.sealer)
        var found: Set<RoomID> = []
        if let content = try store.content(EventType.direct.text, of: user), let document = try? JSONDocument(content) {
            for (_, rooms) in document.root.members {
                found.formUnion(rooms.elements.compactMap { $0.string.flatMap { try? RoomID($0) } })
            }
        }
        direct = found
        return found
    }

    private mutating func roomTags() throws -> [RoomID: Set<String>] {
        if let tags { return tags }
        let store = AccountDataStore(connection, reader.sync.environment.sealer)
        var found: [RoomID: Set<String>] = [:]
        for entry in try store.ofRooms(EventType.tag.text, of: user) {
            guard let room = entry.room, let document = try? JSONDocument(entry.content) else { continue }
            found[room] = Set((document.root["tags"]?.members ?? []).map(\.key))
        }
        tags = found
        return found
    }
}
