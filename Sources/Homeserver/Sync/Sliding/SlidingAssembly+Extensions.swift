internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What is told beside rooms: MSC3885, MSC3884, MSC3959, MSC3960, MSC3961; and MSC4308 and MSC4354 in
/// `SlidingAssembly+Unstable.swift`.
extension SlidingAssembly {
    /// The object of all extensions that were asked for.
    mutating func extensions() throws -> JSONWriter {
        var writer = JSONWriter()
        writer.beginObject()
        if let wanted = request.extensions.toDevice { try writeToDevice(wanted, into: &writer) }
        if request.extensions.encryption { try writeEncryption(into: &writer) }
        try writeAccountData(into: &writer)
        try writeReceipts(into: &writer)
        if let limit = request.extensions.threads { try writeThreads(limit, into: &writer) }
        if let wanted = request.extensions.sticky { try writeSticky(wanted, into: &writer) }
        if let scope = request.extensions.typing { try writeTyping(rooms(in: scope), into: &writer) }
        writer.endObject()
        return writer
    }

    /// The rooms of the request that an extension is about, in order.
    private func rooms(in scope: SlidingExtensions.Scope) -> [RoomID] {
        wanted.filter { id, wanted in
            if wanted.isSubscribed, scope.rooms.map({ $0.contains(id) }) ?? true { return true }
            return scope.lists.map { !$0.isDisjoint(with: wanted.lists) } ?? !wanted.lists.isEmpty
        }.keys.sorted()
    }

    // MARK: Devices

    private mutating func writeToDevice(_ wanted: SlidingExtensions.ToDevice, into writer: inout JSONWriter) throws {
        let since = toDeviceSince ?? 0
        var messages: [ToDeviceStore.Message] = []
        if let device = request.device {
            messages = try ToDeviceStore(connection, sync.environment.sealer).messages(
                user: request.user, device: device, after: since, upTo: current.toDevice, limit: wanted.limit)
        }
        var next = current.toDevice
        if messages.count == wanted.limit, let last = messages.last { next = last.position }
        if !messages.isEmpty { hasNews = true }
        writer.key("to_device")
        writer.beginObject()
        writer.key("next_batch")
        writer.string(String(next))
        writer.key("events")
        writer.beginArray()
        for message in messages { writer.raw(message.body) }
        writer.endArray()
        writer.endObject()
    }

    private mutating func writeEncryption(into writer: inout JSONWriter) throws {
        writer.key("e2ee")
        writer.beginObject()
        if let from {
            let lists = try companions(since: from).deviceLists(
                of: request.user, after: from.deviceLists, upTo: current.deviceLists)
            if !lists.changed.isEmpty || !lists.left.isEmpty { hasNews = true }
            writer.deviceLists(changed: lists.changed, left: lists.left)
        }
        try DeviceNews(request.user, request.device, connection).write(into: &writer)
        writer.endObject()
    }

    /// Who came and went in all rooms, whichever the request is about.
    private func companions(since from: SyncToken) throws -> Companions {
        var companions = Companions(rooms: sync.rooms, connection: connection)
        for room in try SyncRooms(connection).changed(of: request.user, after: from.events) {
            let wasJoined = try history.membership(in: room, at: from.events) == .join
            switch room.membership {
            case .join:
                let old = wasJoined ? try log.stateRoot(room: room.nid, at: from.events) : nil
                try companions.note(room, since: old, wasJoined: wasJoined && !room.becameWhole(after: from.events))
            case .leave, .ban: if wasJoined { try companions.left(room.nid) }
            case .invite, .knock: break
            }
        }
        return companions
    }

    // MARK: Account data

    private mutating func writeAccountData(into writer: inout JSONWriter) throws {
        let scope = request.extensions.accountData
        let ids = scope.map { rooms(in: $0) } ?? []
        let isAsked = Set(ids)
        if let from {
            for entry in changedData ?? [] {
                guard let room = entry.room, !isAsked.contains(room) else { continue }
                state[room]?.accountData.miss(at: from.accountData)
            }
        }
        guard scope != nil else { return }
        let needsAll = changedData == nil || ids.contains { state[$0].map { $0.accountData != .now } ?? false }
        let all = needsAll ? try AccountDataStore(connection, sync.environment.sealer).all(request.user) : []
        let global = (changedData ?? all).filter { $0.room == nil }
        let byRoom = Dictionary(grouping: all, by: \.room)
        let changedByRoom = Dictionary(grouping: changedData ?? [], by: \.room)
        var news: [(RoomID, [AccountDataStore.Entry])] = []
        for id in ids {
            guard let record = state[id] else { continue }
            let entries: [AccountDataStore.Entry]
            switch record.accountData {
            case .now: entries = changedByRoom[id] ?? []
            case .position(let position): entries = (byRoom[id] ?? []).filter { $0.position > position }
            case .never: entries = byRoom[id] ?? []
            }
            state[id]?.accountData = .now
            if !entries.isEmpty { news.append((id, entries)) }
        }
        if !global.isEmpty || !news.isEmpty { hasNews = true }
        writer.key("account_data")
        writer.beginObject()
        writer.key("global")
        writer.accountData(global)
        writer.key("rooms")
        writer.beginObject()
        for (id, entries) in news {
            writer.key(id.text)
            writer.accountData(entries)
        }
        writer.endObject()
        writer.endObject()
    }

    // MARK: Receipts and typing

    private mutating func writeReceipts(into writer: inout JSONWriter) throws {
        let scope = request.extensions.receipts
        let ids = scope.map { rooms(in: $0) } ?? []
        let changed = Dictionary(grouping: changedReceipts, by: \.roomNID)
        if let from, !changed.isEmpty {
            let isAsked = Set(ids)
            for (id, record) in state.rooms where record.receipts == .now && !isAsked.contains(id) {
                guard let room = list.entries[id]?.room, changed[room.nid] != nil else { continue }
                state[id]?.receipts.miss(at: from.receipts)
            }
        }
        guard scope != nil else { return }
        writer.key("receipts")
        writer.beginObject()
        writer.key("rooms")
        writer.beginObject()
        for id in ids {
            guard let record = state[id], !record.isInvite, let room = list.entries[id]?.room,
                room.membership == .join
            else { continue }
            let found = try receipts(room, record.receipts, changed[room.nid] ?? [])
            state[id]?.receipts = .now
            guard !found.isEmpty else { continue }
            hasNews = true
            writer.key(id.text)
            writer.value(["type": "m.receipt", "content": ReceiptContent.merged(found)])
        }
        writer.endObject()
        writer.endObject()
    }

    private func receipts(
        _ room: SyncRoom, _ sent: SentUpTo, _ changed: [ReceiptStore.Receipt]
    ) throws -> [ReceiptStore.Receipt] {
        let store = ReceiptStore(connection)
        let events = shown[room.id]
        if sent == .never || events?.isWhole == true {
            return try store.receipts(
                room: room.nid, on: events?.events ?? [], readableBy: request.user, limit: SyncLimits.receiptsPerRoom)
        }
        guard case .position(let position) = sent else { return changed }
        return try store.changes(
            room: room.nid, readableBy: request.user, after: position, upTo: current.receipts,
            limit: SyncLimits.receiptsPerRoom)
    }

    private mutating func writeTyping(_ ids: [RoomID], into writer: inout JSONWriter) throws {
        let typing = TypingStore(connection)
        var changed: Set<Int64> = []
        if let from {
            changed = Set(
                try typing.changedRooms(for: request.user, after: from.typing, upTo: current.typing))
        }
        let active = Set(try typing.rooms(for: request.user, now: eventReader.now))
        writer.key("typing")
        writer.beginObject()
        writer.key("rooms")
        writer.beginObject()
        for id in ids {
            guard let room = list.entries[id]?.room, room.membership == .join,
                changed.contains(room.nid) || (shown[id]?.isWhole == true && active.contains(room.nid))
            else { continue }
            let users = try typing.users(room: room.nid, now: eventReader.now).filter { !ignored.contains($0.text) }
            hasNews = true
            writer.key(id.text)
            writer.value(["type": "m.typing", "content": ["user_ids": .array(users.map { .string($0.text) })]])
        }
        writer.endObject()
        writer.endObject()
    }
}

extension JSONWriter {
    /// A list of events of account data.
    fileprivate mutating func accountData(_ entries: [AccountDataStore.Entry]) {
        beginArray()
        for entry in entries { accountData(entry) }
        endArray()
    }
}
