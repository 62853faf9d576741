internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// One answer in the making, within one transaction. What a room says is in `SyncAssembly+Rooms.swift`.
struct SyncAssembly {
    let sync: SyncReader
    let request: SyncRequest
    let connection: any SQLConnection
    let log: EventLog
    let states: StateReader
    /// Where the server stands.
    let current: SyncToken
    let ignored: Set<String>
    let reader: EventReader
    /// All account data, or what changed.
    let accountData: [AccountDataStore.Entry]
    /// When the push rules changed, once that was asked for.
    var pushRulesPosition: Int64?
    /// What was known of the rooms' unread counts, and how much may still be looked at for them.
    var counting = UnreadCounts.Batch()
    var budget = UnreadBudget()
    /// What was read of the rooms that come next.
    var ahead = RoomsAhead()
    /// Whether invites are blocked, once that was asked for.
    private var invitesAreBlocked: Bool?
    /// Whether some counts are not finished.
    var isCounting = false

    var joined = JSONWriter()
    var invited = JSONWriter()
    var knocked = JSONWriter()
    var left = JSONWriter()
    var hasNews = false
    var companions: Companions

    init(_ sync: SyncReader, _ request: SyncRequest, _ connection: any SQLConnection) throws {
        self.sync = sync
        self.request = request
        self.connection = connection
        log = sync.rooms.log(connection)
        states = StateReader(connection, sync.rooms.states)
        current = SyncToken(try StreamPositions(connection).current())
        companions = Companions(rooms: sync.rooms, connection: connection)
        ignored = try IgnoredUsers.of(request.user, sync.environment.sealer, connection)
        reader = EventReader(
            user: request.user, device: request.device, now: request.now, format: request.filter.format)
        let store = AccountDataStore(connection, sync.environment.sealer)
        if let since = request.since {
            accountData =
                since.accountData < current.accountData
                ? try store.changes(request.user, after: since.accountData, upTo: current.accountData) : []
        } else {
            accountData = try store.all(request.user)
        }
        joined.beginObject()
        invited.beginObject()
        knocked.beginObject()
        left.beginObject()
    }

    /// The whole answer.
    mutating func finish() throws -> SyncAnswer {
        var next = current
        var writer = JSONWriter(reserving: 1024 + joined.bytes.count + left.bytes.count + invited.bytes.count)
        writer.beginObject()
        let toDevice = try toDeviceMessages()
        if let last = toDevice.last, toDevice.count == sync.environment.configuration.limits.toDevicePerSync {
            next.toDevice = last.position
        }
        writer.key("next_batch")
        writer.string(next.description)
        writer.key("account_data")
        writeAccountData(into: &writer)
        writer.key("presence")
        try writePresence(into: &writer)
        writer.key("to_device")
        writer.events(toDevice) { $0.raw($1.body) }
        if !toDevice.isEmpty { hasNews = true }
        try writeDevices(into: &writer)
        writer.key("rooms")
        writer.beginObject()
        for (name, section) in [
            ("join", \SyncAssembly.joined), ("invite", \.invited), ("knock", \.knocked), ("leave", \.left),
        ] {
            self[keyPath: section].endObject()
            writer.key(name)
            writer.raw(self[keyPath: section].bytes)
        }
        writer.endObject()
        writer.endObject()
        return SyncAnswer(
            body: writer.bytes, next: next, hasNews: hasNews, acknowledges: try acknowledges(), isCounting: isCounting)
    }

    /// Whether it changed which invites the user wants to see: all that are there are told then.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#ignoring-users>,
    /// <https://spec.matrix.org/v1.19/client-server-api/#invite-permission>
    var showsInvitesAnew: Bool {
        let types = [EventType.ignoredUserList.text, InviteBlocking.type]
        return request.since != nil && accountData.contains { $0.room == nil && types.contains($0.type) }
    }

    /// Whether the user blocks invites, so that none is told.
    mutating func blocksInvites() throws -> Bool {
        if let invitesAreBlocked { return invitesAreBlocked }
        let blocks = try InviteBlocking.isOn(for: request.user, sync.environment.sealer, connection)
        invitesAreBlocked = blocks
        return blocks
    }

    /// Whether a filter lets account data through, which is its user's.
    func allows(_ entry: AccountDataStore.Entry, _ filter: EventFilter) -> Bool {
        guard filter.allows(type: entry.type), filter.allows(sender: request.user.text),
            entry.room.map(filter.allows(room:)) ?? true
        else { return false }
        guard filter.containsURL != nil else { return true }
        return (try? JSONDocument(entry.content)).map { filter.allows(content: $0.root) } ?? false
    }

    // MARK: What belongs to no room

    private mutating func writeAccountData(into writer: inout JSONWriter) {
        let filter = request.filter.accountData
        let wanted = accountData.filter { $0.room == nil && allows($0, filter) }
        if !wanted.isEmpty { hasNews = true }
        writer.events(wanted) { $0.accountData($1) }
    }

    private mutating func writePresence(into writer: inout JSONWriter) throws {
        var found: [PresenceStore.Presence] = []
        if sync.environment.configuration.presence.isEnabled {
            found = try PresenceStore(connection).changes(
                for: request.user, after: request.since?.presence ?? 0, upTo: current.presence)
            if request.since == nil { found.removeAll { $0.state == "offline" } }
            let filter = request.filter.presence
            found.removeAll { !filter.allows(type: "m.presence") || !filter.allows(sender: $0.user.text) }
        }
        if !found.isEmpty { hasNews = true }
        let now = request.now
        writer.events(found) { PresenceContent.writeEvent($1, now: now, into: &$0) }
    }

    private func toDeviceMessages() throws -> [ToDeviceStore.Message] {
        guard let device = request.device else { return [] }
        return try ToDeviceStore(connection, sync.environment.sealer).messages(
            user: request.user, device: device, after: request.since?.toDevice ?? 0, upTo: current.toDevice,
            limit: sync.environment.configuration.limits.toDevicePerSync)
    }

    private func acknowledges() throws -> Bool {
        guard let device = request.device, let since = request.since else { return false }
        return try sync.acknowledges(request.user, device, upTo: since.toDevice, connection)
    }

    /// Device lists and the keys that are left.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync>
    private mutating func writeDevices(into writer: inout JSONWriter) throws {
        // A first sync names the user: what changed of their own list while it was answered is told by no later one, and the
        // client may have asked for the list before.
        var lists: (changed: Set<UserID>, left: Set<UserID>) = ([request.user], [])
        if let since = request.since {
            lists = try companions.deviceLists(
                of: request.user, after: since.deviceLists, upTo: current.deviceLists)
        }
        if !lists.changed.isEmpty || !lists.left.isEmpty { hasNews = true }
        writer.deviceLists(changed: lists.changed, left: lists.left)
        try DeviceNews(request.user, request.device, connection).write(into: &writer)
    }
}

extension JSONWriter {
    /// `{"events": […]}`
    mutating func events<Element>(
        _ list: some Sequence<Element>, _ write: (inout JSONWriter, Element) -> Void
    ) {
        beginObject()
        key("events")
        beginArray()
        for element in list { write(&self, element) }
        endArray()
        endObject()
    }

    /// An event of account data.
    mutating func accountData(_ entry: AccountDataStore.Entry, withRoom: Bool = false) {
        beginObject()
        if withRoom, let room = entry.room {
            key("room_id")
            string(room.text)
        }
        key("type")
        string(entry.type)
        key("content")
        raw(entry.content)
        endObject()
    }
}
