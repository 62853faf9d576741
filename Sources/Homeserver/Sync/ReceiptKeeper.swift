internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Takes receipts and typing in, of our users and of other servers', and passes ours on.
struct ReceiptKeeper: Sendable {
    private let environment: Environment
    private let rooms: RoomReader
    private let sender: (any EphemeralSending)?

    init(environment: Environment, rooms: RoomReader, sender: (any EphemeralSending)?) {
        self.environment = environment
        self.rooms = rooms
        self.sender = sender
    }

    // MARK: Our users

    /// What a user has read of a room.
    struct Markers: Sendable {
        /// `m.read`, `m.read.private`, each with its event.
        var receipts: [(type: String, event: EventID)] = []
        var fullyRead: EventID?
        /// The receipts' thread.
        var thread: String?
    }

    /// Notes what a user has read. Throws `M_FORBIDDEN` for a room the user is not in, `M_NOT_FOUND` for an unknown event.
    func mark(_ markers: Markers, in roomID: RoomID, by user: UserID) async throws {
        let room = try await joined(user, roomID)
        let now = environment.clock.now()
        let sealer = environment.sealer
        let kept = try await environment.database.groupedWrite { connection in
            let log = EventLog(connection, sealer)
            var receipts: [ReceiptStore.Receipt] = []
            for receipt in markers.receipts {
                guard let event = try log.event(receipt.event), event.roomNID == room.nid, let place = event.position
                else { throw MatrixError(.notFound, "No such event in this room") }
                if let thread = markers.thread { try Self.check(event, isIn: thread, log) }
                receipts.append(
                    .init(
                        roomNID: room.nid, user: user, type: receipt.type, thread: markers.thread,
                        eventID: receipt.event, eventPosition: place, timestamp: now))
            }
            if let event = markers.fullyRead {
                let content = JSONValue.object(["event_id": .string(event.text)]).serialized()
                try Self.setFullyRead(content, event, user, roomID, log, AccountDataStore(connection, sealer))
            }
            return try ReceiptStore(connection).take(receipts)
        }
        let told = kept.filter { $0.type == "m.read" }
        guard let sender, !told.isEmpty else { return }
        let servers = try await rooms.joinedServers(room).filter { $0 != environment.serverName }
        guard !servers.isEmpty else { return }
        for receipt in told {
            let entry: JSONValue = ["event_ids": [.string(receipt.eventID.text)], "data": ReceiptContent.data(receipt)]
            sender.send(
                type: "m.receipt", key: "receipt:\(room.nid):\(user):\(receipt.thread ?? "")",
                content: .object([roomID.text: ["m.read": .object([user.text: entry])]]), to: servers)
        }
    }

    /// Throws `M_INVALID_PARAM` for an event that is not in a thread; a root is in the main timeline, and is read with its
    /// thread as well. Spec: <https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts>
    private static func check(_ event: StoredEvent, isIn thread: String, _ log: EventLog) throws {
        if event.id.text == thread { return }
        let relations = Relation(event.pdu.content).map { [event.nid: ($0.type, $0.target.text)] } ?? [:]
        let found = try ThreadFinding.threads(of: event.pdu.isState ? [:] : relations, log)[event.nid]
        guard (found ?? UnreadRecord.main) == thread else {
            throw MatrixError(.invalidParameter, "The event is not in the thread that thread_id names")
        }
    }

    /// The marker does not go back.
    private static func setFullyRead(
        _ content: [UInt8], _ event: EventID, _ user: UserID, _ room: RoomID, _ log: EventLog, _ store: AccountDataStore
    ) throws {
        if let old = try store.content("m.fully_read", of: user, room: room),
            let name = (try? JSONValue.parse(old))?["event_id"]?.string, let id = try? EventID(name),
            let before = try log.position(of: id), let after = try log.position(of: event), after <= before
        {
            return
        }
        guard try store.set("m.fully_read", content, of: user, room: room) != nil else {
            throw MatrixError(.resourceLimitExceeded, "There is too much account data")
        }
    }

    /// Notes that a user types for some milliseconds, or no longer does. Throws `M_FORBIDDEN` for a room the user is not in.
    func type(_ user: UserID, in roomID: RoomID, for duration: Int64?) async throws {
        let room = try await joined(user, roomID)
        let until = duration.map { environment.clock.now() + $0 }
        try await environment.database.groupedWrite { connection in
            try TypingStore(connection).set(user, room: room.nid, until: until, limit: SyncLimits.typingPerRoom)
        }
        guard let sender else { return }
        let servers = try await rooms.joinedServers(room).filter { $0 != environment.serverName }
        guard !servers.isEmpty else { return }
        sender.send(
            type: "m.typing", key: "typing:\(room.nid):\(user)",
            content: [
                "room_id": .string(roomID.text), "user_id": .string(user.text), "typing": .bool(duration != nil),
            ], to: servers)
    }

    private func joined(_ user: UserID, _ roomID: RoomID) async throws -> RoomRecord {
        let room = try await environment.database.read { connection -> RoomRecord? in
            let store = RoomStore(connection)
            guard let room = try store.room(roomID),
                try store.membership(of: user, in: room.nid)?.membership == .join
            else { return nil }
            return room
        }
        guard let room else { throw MatrixError(.forbidden, "You are not in this room") }
        return room
    }

    // MARK: Other servers' users

    /// Whether a user is joined to a room; where the members are not known yet, whether its server is.
    private static func mayBeJoined(_ user: UserID, _ room: RoomRecord, _ store: RoomStore) throws -> Bool {
        if let known = try store.membership(of: user, in: room.nid) { return known.membership == .join }
        return try room.isPartial && store.joinedServers(room: room.nid).contains(user.serverName)
    }

    /// Takes in an `m.receipt` EDU. Spec: <https://spec.matrix.org/v1.19/server-server-api/#receipts>
    func receiveReceipts(_ content: JSONView, from origin: ServerName) async throws {
        let sealer = environment.sealer
        let now = environment.clock.now()
        try await environment.database.groupedWrite { connection in
            let log = EventLog(connection, sealer)
            let store = RoomStore(connection)
            var receipts: [ReceiptStore.Receipt] = []
            for (name, types) in content.members.prefix(SyncLimits.itemsPerEDU) {
                guard let roomID = try? RoomID(name), let room = try store.room(roomID) else { continue }
                for (userName, receipt) in (types["m.read"]?.members ?? []).prefix(SyncLimits.itemsPerEDU) {
                    guard receipts.count < SyncLimits.itemsPerEDU, let user = try? UserID(userName),
                        user.serverName == origin, let text = receipt["event_ids"]?.elements.last?.string,
                        let id = try? EventID(text), try Self.mayBeJoined(user, room, store),
                        let event = try log.event(id), event.roomNID == room.nid, let place = event.position
                    else { continue }
                    let thread = receipt["data"]?["thread_id"]?.string
                    receipts.append(
                        .init(
                            roomNID: room.nid, user: user, type: "m.read",
                            thread: thread.flatMap { Self.isThread($0) ? $0 : nil }, eventID: id, eventPosition: place,
                            timestamp: receipt["data"]?["ts"]?.integer ?? now))
                }
            }
            try ReceiptStore(connection).take(receipts)
        }
    }

    /// Takes in an `m.typing` EDU. Spec: <https://spec.matrix.org/v1.19/server-server-api/#typing-notifications>
    func receiveTyping(_ content: JSONView, from origin: ServerName) async throws {
        guard let roomID = content["room_id"]?.string.flatMap({ try? RoomID($0) }),
            let user = content["user_id"]?.string.flatMap({ try? UserID($0) }), user.serverName == origin,
            let isTyping = content["typing"]?.bool
        else { return }
        let until = isTyping ? environment.clock.now() + 30_000 : nil
        try await environment.database.groupedWrite { connection in
            let store = RoomStore(connection)
            guard let room = try store.room(roomID), try Self.mayBeJoined(user, room, store) else { return }
            try TypingStore(connection).set(user, room: room.nid, until: until, limit: SyncLimits.typingPerRoom)
        }
    }

    /// `main`, or an event.
    static func isThread(_ text: String) -> Bool { text == "main" || (try? EventID(text)) != nil }

    /// Takes out those who have typed for long enough. Called every second or so.
    func expireTyping() async throws {
        let now = environment.clock.now()
        guard try await environment.database.read({ try TypingStore($0).hasExpired(now: now) }) else { return }
        try await environment.database.groupedWrite { try TypingStore($0).expire(now: now) }
    }
}
