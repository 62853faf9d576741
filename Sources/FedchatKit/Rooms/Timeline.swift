internal import ClientEncryption
internal import MatrixAPI
public import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// Follows one room: each event once, in order, decrypted. A message whose key has not come holds the next ones back for a
/// moment; then it is shown undecrypted, and once more when the key comes.
public actor Timeline {
    private struct Held {
        let event: JSONView
        let since: ContinuousClock.Instant
    }

    private let client: Client
    private let room: RoomID
    private let emit: @Sendable (TimelineEvent) async throws -> Void
    private var seen: Set<String> = []
    private var seenOrder: [String] = []
    private var held: [Held] = []
    private var late: [JSONView] = []
    /// Reading waits for the database: what comes and what is released must not overtake each other.
    private let turns = Turns()
    /// Whether a message could not be read.
    public private(set) var hasFailures = false

    /// Of a room of `client`'s; each event goes to `emit`, one after the other.
    public init(of room: RoomID, client: Client, emit: @escaping @Sendable (TimelineEvent) async throws -> Void) {
        self.client = client
        self.room = room
        self.emit = emit
    }

    /// Emits the room's events, from its visible start if `fromStart`, and those to come if `following`, until the task
    /// is cancelled. Throws ``ClientError`` and what `emit` throws.
    public func run(fromStart: Bool, following: Bool) async throws {
        try await client.caughtUp()
        guard try await client.isJoined(room) else { throw ClientError.notFound("\(room): you are not in this room") }
        let (id, stream) = await client.updates()
        do {
            if fromStart { try await pageForward() }
            if following {
                try await follow(stream)
            } else {
                try await settle()
            }
            await client.stopUpdates(id)
        } catch {
            await client.stopUpdates(id)
            throw error
        }
    }

    private func follow(_ stream: AsyncStream<ClientUpdate>) async throws {
        let clock = client.clock
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await update in stream { try await self.turns.hold { try await self.take(update) } }
            }
            group.addTask {
                while true {
                    try await clock.sleep(for: .milliseconds(250))
                    try await self.turns.hold { try await self.releaseOverdue() }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Waits for the keys of what is held, but not for long.
    private func settle() async throws {
        while !held.isEmpty {
            try await release()
            if !held.isEmpty { try await client.clock.sleep(for: .milliseconds(250)) }
        }
    }

    private func take(_ update: ClientUpdate) async throws {
        if let timeline = update.timelines[room] {
            if let gap = timeline.gap { try await fill(gap) }
            for event in timeline.events { try await take(event) }
        }
        if update.roomKeys.contains(where: { $0.room == room }) {
            try await release()
            try await retryLate()
        }
    }

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages>
    private func pageForward() async throws {
        var from: String?
        while true {
            let page = try await page("f", from: from)
            for event in page.events { try await take(event) }
            guard let end = page.end, end != from, !page.events.isEmpty else { return }
            from = end
        }
    }

    /// Emits what lies between the last event we know and a gap.
    private func fill(_ gap: String) async throws {
        guard !seen.isEmpty else { return }
        var missing: [JSONView] = []
        var from = gap
        search: for _ in 0..<ClientLimits.gapPages {
            let page = try await page("b", from: from)
            for event in page.events {
                if let id = event["event_id"]?.string, seen.contains(id) { break search }
                missing.append(event)
            }
            guard let end = page.end, end != from, !page.events.isEmpty else { break }
            from = end
        }
        for event in missing.reversed() { try await take(event) }
    }

    private func page(_ direction: String, from: String?) async throws -> (events: [JSONView], end: String?) {
        var query = [("dir", direction), ("limit", "\(ClientLimits.pageEvents)")]
        if let from { query.append(("from", from)) }
        let answer = try await client.call(APICall(.getRoomEvents, ["roomId": room.text], query: query))
        return (try answer.requiredArray("chunk"), answer["end"]?.string)
    }

    private func take(_ event: JSONView) async throws {
        guard let id = event["event_id"]?.string, seen.insert(id).inserted else { return }
        seenOrder.append(id)
        if seenOrder.count > ClientLimits.rememberedEvents {
            for old in seenOrder.prefix(ClientLimits.rememberedEvents / 4) { seen.remove(old) }
            seenOrder.removeFirst(ClientLimits.rememberedEvents / 4)
        }
        if !held.isEmpty, held.count < ClientLimits.heldEvents {
            held.append(Held(event: event, since: .now))
            return
        }
        switch try await client.read(event, in: room) {
        case .success(let readable): try await emit(readable)
        case .failure(let failure) where failure.canCome:
            held.append(Held(event: event, since: .now))
        case .failure(let failure): try await emitUnread(event, failure)
        }
    }

    /// What has waited for its key long enough. Before, a key that comes is what releases it: trying anew, again and again,
    /// would only write the failure down each time.
    private func releaseOverdue() async throws {
        guard let first = held.first, ContinuousClock.now - first.since >= ClientLimits.keyPatience else { return }
        try await release()
    }

    /// Emits what is held as far as it can be read or has waited long enough.
    private func release() async throws {
        while let first = held.first {
            switch try await client.read(first.event, in: room) {
            case .success(let readable):
                held.removeFirst()
                try await emit(readable)
            case .failure(let failure):
                guard !failure.canCome || ContinuousClock.now - first.since >= ClientLimits.keyPatience else { return }
                held.removeFirst()
                if late.count < ClientLimits.heldEvents { late.append(first.event) }
                try await emitUnread(first.event, failure)
            }
        }
    }

    private func retryLate() async throws {
        let events = late
        late = []
        for event in events {
            switch try await client.read(event, in: room) {
            case .success(let readable): try await emit(readable)
            case .failure: late.append(event)
            }
        }
    }

    private func emitUnread(_ event: JSONView, _ why: Undecryptable) async throws {
        hasFailures = true
        try await emit(TimelineEvent(event: event.value, encryption: .failed(why), room: room))
    }
}

extension Client {
    func isJoined(_ room: RoomID) async throws -> Bool {
        let store = store
        return try await database.read { try store.room(room, in: $0) }?.membership == "join"
    }
}
