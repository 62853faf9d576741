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
    /// Whether some counts are not finished.
    var isCounting = false

    var joined = JSONWriter()
    var invited = JSONWriter()
    var knocked = JSONWriter()
    var left = JSONWriter()
    var hasNews = false
    /// Users who may have come to share a room, and users who may no longer.
    var met: Set<UserID> = []
    var parted: Set<UserID> = []

    init(_ sync: SyncReader, _ request: SyncRequest, _ connection: any SQLConnection) throws {
        self.sync = sync
        self.request = request
        self.connection = connection
        log = sync.rooms.log(connection)
        states = StateReader(connection, sync.rooms.states)
        current = SyncToken(try StreamPositions(connection).current())
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
        for (name, section) in [("join", joined), ("invite", invited), ("knock", knocked), ("leave", left)] {
            writer.key(name)
            writer.raw(section.bytes + [0x7D])
        }
        writer.endObject()
        writer.endObject()
        return SyncAnswer(
            body: writer.bytes, next: next, hasNews: hasNews, acknowledges: try acknowledges(), isCounting: isCounting)
    }

    /// Whether the list of ignored users changed: invites of those who are no longer ignored are told then.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#ignoring-users>
    var ignoresOthersNow: Bool {
        request.since != nil && accountData.contains { $0.room == nil && $0.type == EventType.ignoredUserList.text }
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
        writer.events(found) { writer, presence in
            writer.beginObject()
            writer.key("type")
            writer.string("m.presence")
            writer.key("sender")
            writer.string(presence.user.text)
            writer.key("content")
            PresenceContent.write(presence, now: request.now, into: &writer)
            writer.endObject()
        }
    }

    private func toDeviceMessages() throws -> [ToDeviceStore.Message] {
        guard let device = request.device else { return [] }
        return try ToDeviceStore(connection, sync.environment.sealer).messages(
            user: request.user, device: device, after: request.since?.toDevice ?? 0, upTo: current.toDevice,
            limit: sync.environment.configuration.limits.toDevicePerSync)
    }

    private func acknowledges() throws -> Bool {
        guard let device = request.device, let since = request.since,
            !sync.isAcknowledged(request.user, device, since.toDevice)
        else { return false }
        return try !ToDeviceStore(connection, sync.environment.sealer).messages(
            user: request.user, device: device, after: 0, upTo: since.toDevice, limit: 1
        ).isEmpty
    }

    /// Device lists and the keys that are left.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync>
    private mutating func writeDevices(into writer: inout JSONWriter) throws {
        var changed: Set<UserID> = []
        var left: Set<UserID> = []
        if let since = request.since {
            let shared = SharedRooms(connection)
            changed = try shared.changedDeviceLists(
                for: request.user, after: since.deviceLists, upTo: current.deviceLists)
            let concerned = met.union(parted).subtracting([request.user])
            let sharing = concerned.isEmpty ? [] : try shared.sharing(concerned, with: request.user)
            changed.formUnion(met.intersection(sharing))
            left = parted.subtracting(sharing).subtracting([request.user])
        }
        if !changed.isEmpty || !left.isEmpty { hasNews = true }
        writer.key("device_lists")
        writer.beginObject()
        for (name, users) in [("changed", changed), ("left", left)] {
            writer.key(name)
            writer.beginArray()
            for user in users.sorted() { writer.string(user.text) }
            writer.endArray()
        }
        writer.endObject()
        var counts = ["signed_curve25519": 0]
        var unused: [String] = []
        if let device = request.device {
            let keys = OneTimeKeyStore(connection)
            counts.merge(try keys.counts(user: request.user, device: device)) { $1 }
            unused = try keys.unusedFallbackAlgorithms(user: request.user, device: device)
        }
        writer.key("device_one_time_keys_count")
        writer.beginObject()
        for (algorithm, count) in counts.sorted(by: { $0.key < $1.key }) {
            writer.key(algorithm)
            writer.integer(count)
        }
        writer.endObject()
        writer.key("device_unused_fallback_key_types")
        writer.beginArray()
        for algorithm in unused { writer.string(algorithm) }
        writer.endArray()
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
    mutating func accountData(_ entry: AccountDataStore.Entry) {
        beginObject()
        key("type")
        string(entry.type)
        key("content")
        raw(entry.content)
        endObject()
    }
}
