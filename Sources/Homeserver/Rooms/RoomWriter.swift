public import HomeserverStorage
internal import MatrixAPI
public import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Writes rooms: events of ours, made here, and events of others, judged before. All writers of a room form a queue; what
/// waits in it is built in a chain on the room's head and appended by one transaction, which compares the head and is
/// repeated when another node changed it.
public struct RoomWriter: Sendable {
    public let environment: Environment
    public let reader: RoomReader
    let builder: EventBuilder
    let lanes: RoomLanes
    let numbers = EventNumbers()
    let creationTimes = CreationTimes()
    let policyServers: (any PolicySigning)?

    /// A writer. One is shared by all handlers of a node.
    /// - Parameter policyServers: signs what is sent in rooms with a policy server; without, such events are refused.
    public init(environment: Environment, reader: RoomReader, policyServers: (any PolicySigning)? = nil) {
        self.policyServers = policyServers
        self.environment = environment
        self.reader = reader
        builder = EventBuilder(serverName: environment.serverName, signingKeys: environment.signingKeys)
        lanes = RoomLanes(limit: environment.configuration.limits.roomHeadsCached)
    }

    /// Sends an event of one of our users. A state event that changes nothing is not sent again: the one that is there is
    /// the answer.
    /// - Parameters:
    ///   - draft: with the room's id set.
    ///   - origin: device and transaction id, where the request has one: a repeated request gets the first event.
    ///   - timestamp: milliseconds since 1970, where an application service sets it.
    /// - Throws: `MatrixError`: `M_FORBIDDEN` when the room's state does not allow it or the room is not known,
    ///   `M_TOO_LARGE`, `M_BAD_JSON`, `M_NOT_FOUND` for an unknown target of a redaction; `DatabaseError`.
    @discardableResult
    public func send(
        _ draft: EventDraft, origin: SendOrigin? = nil, timestamp: Int64? = nil
    ) async throws -> StoredEvent {
        guard let room = draft.roomID else { throw MatrixError(.unknown, "The draft names no room", status: 500) }
        let job = RoomJob.draft(DraftJob(draft: draft, origin: origin, timestamp: timestamp))
        guard let event = try await submit(job, to: room).first else { throw MatrixError.unknown }
        return event
    }

    /// Writes events that were judged, in order: the oldest first, but history (`isBackfilled`) newest first. Those already
    /// known are passed over.
    /// - Returns: the events as they are in the log, in the order given.
    /// - Throws: `MatrixError` `M_NOT_FOUND` for a room that is not here; `DatabaseError`, `ResolutionFailure`.
    @discardableResult
    public func append(_ judged: [JudgedPDU], to room: RoomID) async throws -> [StoredEvent] {
        judged.isEmpty ? [] : try await submit(.judged(judged), to: room)
    }

    /// Makes the whole state of a room, which was joined without its members, the current one, and judges again what came
    /// meanwhile. A room that is whole already stays as it is.
    /// - Throws: `LacksStates` where more of the state must be known; `DatabaseError`, `ResolutionFailure`.
    func complete(_ completion: RoomCompletion, of room: RoomID) async throws {
        _ = try await submit(.completion(completion), to: room)
    }

    private func submit(_ job: RoomJob, to room: RoomID) async throws -> [StoredEvent] {
        let lane = lanes.lane(of: room)
        while true {
            let result = await lane.queue.submit(job, batch: RoomLimits.draftsPerAppend) { jobs in
                await work(jobs, room: room, lane: lane)
            }
            // Whoever did the work may have been canceled, not we.
            if case .failure(let error) = result, error is CancellationError, !Task.isCancelled { continue }
            return try result.get()
        }
    }

    private func work(_ jobs: [RoomJob], room: RoomID, lane: RoomLane) async -> [Result<[StoredEvent], any Error>] {
        var results: [Result<[StoredEvent], any Error>] = []
        var drafts: [DraftJob] = []
        func flush() async {
            guard !drafts.isEmpty else { return }
            results += await send(drafts, room: room, lane: lane).map { $0.map { [$0] } }
            drafts = []
        }
        for job in jobs {
            switch job {
            case .draft(let draft): drafts.append(draft)
            case .judged(let judged):
                await flush()
                do {
                    results.append(.success(try await append(judged, room: room, lane: lane)))
                } catch {
                    results.append(.failure(error))
                }
            case .completion(let completion):
                await flush()
                do {
                    try await complete(completion, room: room, lane: lane)
                    results.append(.success([]))
                } catch {
                    results.append(.failure(error))
                }
            }
        }
        await flush()
        return results
    }

    /// Runs an append until it fits the head. Who lost twice makes the head new without changing it, so that the winner
    /// too must read it again: else the node that has it in memory would win for ever.
    func retrying<R>(_ lane: RoomLane, _ room: RoomID, _ attempt: () async throws -> R) async throws -> R {
        for number in 0..<RoomLimits.appendAttempts {
            if number >= 2 {
                try await environment.database.groupedWrite { try RoomStore($0).contend(for: room) }
            }
            do {
                return try await attempt()
            } catch is RoomHeadMoved {
                lane.head = nil
            } catch let error as DatabaseError where error.kind == .constraint {
                // Another node appended one of these events meanwhile.
                lane.head = nil
            }
        }
        throw MatrixError(.unknown, "The room is changing too fast", status: 503)
    }

    func eventNumbers(_ count: Int) async throws -> [Int64] {
        try await numbers.take(count) { count in
            try await environment.database.groupedWrite { try NumberBlocks($0).take(.event, count: count) }
        }
    }
}
