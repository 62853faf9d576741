internal import ClientEncryption
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// What of a sync concerns calls.
enum CallHappening: Sendable {
    case event(ReceivedCallEvent)
    case left(UserID, RoomID)
    /// An invite in a room that anybody may join: it is not to ring.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#invitees>
    case publicRoom(RoomID, sender: UserID)
    /// An event that could not be read: it may have been of a call.
    case unreadable(RoomID, sender: UserID?, reason: String)
}

/// Reads what syncs bring as far as it concerns calls: decrypted, each room in its order. An event whose key has not come
/// holds those behind it for a moment; later it is passed over, and comes out of its order if its key does.
actor CallReading {
    private struct Held {
        let event: JSONView
        let arrival: Int64
    }

    private let client: Client
    private let room: RoomID?
    private var held: [RoomID: [Held]] = [:]
    /// Rooms whose first held event waits for its key: it is not decrypted anew before something has come.
    private var waiting: Set<RoomID> = []
    private var late: [RoomID: [Held]] = [:]
    private let turns = Turns()

    /// Of one room, or of all.
    init(_ client: Client, of room: RoomID?) {
        self.client = client
        self.room = room
    }

    /// What this client has seen of the last minutes.
    func recent() async throws -> [CallHappening] {
        let entries = await client.recent.of(room)
        return try await turns.hold { try await self.take(entries) }
    }

    /// What came before this client's first sync, if it has just started: room by room as the server answers, which may take
    /// its time. Events that were seen already come once more.
    func readBack(_ take: @escaping @Sendable ([CallHappening]) async -> Void) async throws {
        let rooms = try await client.roomsToReadBack(only: room)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, room) in rooms.enumerated() {
                if index >= ClientLimits.callRoomsReadAtOnce { try await group.next() }
                group.addTask {
                    let entries = await self.client.pastCallEvents(of: room)
                    await take(try await self.turns.hold { try await self.take(entries) })
                }
            }
            try await group.waitForAll()
        }
    }

    /// What a sync brought. Rooms `inCall` are read without gaps.
    func take(_ update: ClientUpdate, inCall: Set<RoomID>) async throws -> [CallHappening] {
        try await turns.hold { try await self.takeInTurn(update, inCall) }
    }

    /// What has waited long enough for its key.
    func release() async throws -> [CallHappening] {
        guard held.contains(where: { !waiting.contains($0.key) || !isFresh($0.value.first) }) else { return [] }
        return try await turns.hold { try await self.drain() }
    }

    private func take(_ entries: [RecentEvents.Entry]) async throws -> [CallHappening] {
        for entry in entries {
            guard let event = try? JSONDocument(entry.event).root else { continue }
            hold(event, in: entry.room, arrival: entry.arrival)
        }
        return try await drain()
    }

    private func takeInTurn(_ update: ClientUpdate, _ inCall: Set<RoomID>) async throws -> [CallHappening] {
        var happenings: [CallHappening] = []
        let now = client.now()
        for (name, timeline) in update.timelines where room == nil || room == name {
            if let gap = timeline.gap, inCall.contains(name) {
                for event in await client.callEvents(of: name, before: gap, limit: ClientLimits.pageEvents) {
                    hold(event, in: name, arrival: now)
                }
            }
            for event in timeline.events {
                if event["type"]?.string == "m.room.member",
                    ["leave", "ban"].contains(event["content", "membership"]?.string),
                    let user = event["state_key"]?.string.flatMap({ try? UserID($0) })
                {
                    happenings.append(.left(user, name))
                } else if event.mayBeOfCall {
                    hold(event, in: name, arrival: now)
                }
            }
        }
        for key in update.roomKeys { waiting.remove(key.room) }
        var found = try await drain()
        for key in update.roomKeys where late[key.room] != nil {
            let again = late.removeValue(forKey: key.room) ?? []
            for each in again { hold(each.event, in: key.room, arrival: each.arrival) }
            found += try await drain()
        }
        return found + happenings
    }

    private func hold(_ event: JSONView, in room: RoomID, arrival: Int64) {
        guard held[room]?.count ?? 0 < ClientLimits.heldEvents else { return }
        held[room, default: []].append(Held(event: event, arrival: arrival))
    }

    private func drain() async throws -> [CallHappening] {
        var happenings: [CallHappening] = []
        rooms: for room in held.keys where !waiting.contains(room) || !isFresh(held[room]?.first) {
            waiting.remove(room)
            while let first = held[room]?.first {
                switch try await client.read(first.event, in: room) {
                case .success(var readable):
                    guard readable.event["type"]?.string.map(CallEvent.isCallType) == true else { break }
                    if case .decrypted(let origin) = readable.encryption, origin.device == nil {
                        // The first that we hear of somebody is often that they call.
                        await client.learnDevices(of: first.event["sender"]?.string)
                        if case .success(let again) = try await client.read(first.event, in: room) { readable = again }
                    }
                    guard var event = try await happening(readable, first) else { break }
                    // Whoever gives a room key can encrypt in any room; the answer would go out in the clear.
                    if try await !isEncrypted(room) { event = event.inTheClear }
                    var isSilent = false
                    if event.type == "m.call.invite" { isSilent = try await self.isSilent(room) }
                    happenings.append(isSilent ? .publicRoom(room, sender: event.sender) : .event(event))
                case .failure(let failure):
                    if failure.canCome, isFresh(first) {
                        waiting.insert(room)
                        continue rooms
                    }
                    if failure.canCome, late[room]?.count ?? 0 < ClientLimits.waitingCallEvents {
                        late[room, default: []].append(first)
                    }
                    let sender = first.event["sender"]?.string.flatMap { try? UserID($0) }
                    happenings.append(.unreadable(room, sender: sender, reason: failure.cause.rawValue))
                }
                held[room]?.removeFirst()
            }
            held[room] = nil
        }
        return happenings
    }

    /// Whether the homeserver shows other keys for the device than it did at first, or another identity for its user than
    /// the one that was seen or verified.
    private func hasChanged(_ user: UserID, _ device: DeviceID?) async throws -> Bool {
        let encryption = client.machine
        return try await client.database.read { connection in
            try encryption.identityChange(of: user, in: connection) != nil
                || encryption.devices(of: user, in: connection).contains { $0.device == device && $0.hasChanged }
        }
    }

    private func isEncrypted(_ name: RoomID) async throws -> Bool {
        let store = client.store
        return try await client.database.read { try store.room(name, in: $0) }?.isEncrypted ?? false
    }

    /// Whether calls in it do not ring. In a room that the user has named they do.
    private func isSilent(_ name: RoomID) async throws -> Bool {
        guard room == nil else { return false }
        let store = client.store
        return try await client.database.read { try store.room(name, in: $0) }?.joinRule == "public"
    }

    /// Whether its key may be under way.
    private func isFresh(_ event: Held?) -> Bool {
        guard let event else { return false }
        return !Period.isOver(ClientLimits.keyPatience.wholeMilliseconds, since: event.arrival, at: client.now())
    }

    private func happening(_ readable: TimelineEvent, _ raw: Held) async throws -> ReceivedCallEvent? {
        let event = readable.event
        guard let type = event["type"]?.string, CallEvent.isCallType(type), let content = event["content"],
            let sender = event["sender"]?.string.flatMap({ try? UserID($0) }),
            let id = event["event_id"]?.string.flatMap({ try? EventID($0) })
        else { return nil }
        let now = client.now()
        let age = (raw.event.age(at: raw.arrival) ?? 0) + now - raw.arrival
        var origin: TimelineEvent.Origin?
        if case .decrypted(let from) = readable.encryption { origin = from }
        return ReceivedCallEvent(
            room: readable.room, eventID: id, sender: sender, device: origin?.device, standing: origin?.standing,
            hasChanged: try await hasChanged(sender, origin?.device), type: type, content: content,
            age: .milliseconds(age),
            claimedAge: content[CallSession.sentAt]?.integer.flatMap { sent in
                (0...(1 << 50)).contains(sent) ? .milliseconds(now - sent) : nil
            })
    }
}

extension Client {
    /// The rooms of which a client that has just started asks what came before its first sync: the small encrypted ones, as
    /// calls are for two, or `only` one. None for one that has seen the last minutes itself.
    func roomsToReadBack(only: RoomID?) async throws -> [RoomID] {
        guard !Period.isOver(ClientLimits.longestRinging.wholeMilliseconds, since: started, at: now()) else {
            return []
        }
        let store = store
        return try await database.read { connection in
            let rooms = try only.map { [$0] } ?? store.roomsOfTwo(["join", "invite"], in: connection)
            return try rooms.lazy.compactMap { try store.room($0, in: connection) }.filter {
                $0.membership == "join" && $0.isEncrypted
            }.prefix(ClientLimits.callRoomsReadBack).map(\.room)
        }
    }

    /// What may be about calls of a room's last minutes, as the server has it.
    func pastCallEvents(of room: RoomID) async -> [RecentEvents.Entry] {
        let now = now()
        return await callEvents(of: room, before: nil, limit: ClientLimits.callEventsReadBack)
            .filter { $0.age(at: now) ?? .max < ClientLimits.longestRinging.wholeMilliseconds }
            .map { RecentEvents.Entry(room: room, event: Array($0.rawBytes), arrival: now) }
    }

    /// Asks for somebody's devices if that is due, for a moment.
    func learnDevices(of name: String?) async {
        guard let name, let user = try? UserID(name) else { return }
        try? await within(ClientLimits.keyPatience, "devices of \(user)") {
            try await self.keyTurns.hold { try await self.queryKeys(for: [user]) }
        }
    }

    /// What may be about calls before a point of a room, in order. What a server does not give is missing: a call must not
    /// end, nor waiting for one, since one room cannot be read.
    func callEvents(of room: RoomID, before: String?, limit: Int) async -> [JSONView] {
        var query = [("dir", "b"), ("limit", "\(limit)")]
        if let before { query.append(("from", before)) }
        do {
            let answer = try await call(APICall(.getRoomEvents, ["roomId": room.text], query: query))
            return try answer.requiredArray("chunk").filter(\.mayBeOfCall).reversed()
        } catch {
            logger.warning("a room was not read back for calls", metadata: ["room": "\(room)", "error": "\(error)"])
            return []
        }
    }
}
