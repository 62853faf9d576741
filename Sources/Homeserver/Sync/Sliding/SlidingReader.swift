internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Where a request of sliding sync begins, and where its answer leads.
struct SlidingSession: Sendable {
    /// `connection_nid`; nil for a connection that is not made yet.
    var connection: Int64?
    /// The number of the answer that the client has.
    var number: Int64 = 0
    /// Where the client stands; nil for a first request.
    var token: SyncToken?
    /// Where it stands in the stream `thread_subscriptions`.
    var threads: Int64 = 0
    /// What the client was sent.
    var state = SlidingState()
    /// When it was last noted that the connection is in use, in milliseconds since 1970.
    var lastUse: Int64 = 0
}

/// The answer to a request of sliding sync.
struct SlidingAnswer: Sendable {
    /// The JSON object without its `pos`: what follows its first brace.
    var body: [UInt8]
    /// Where it leads.
    var session: SlidingSession
    /// Whether it says anything.
    var hasNews: Bool
    /// The position of the stream `to_device` up to which messages can go.
    var acknowledges: Int64?
}

/// Makes answers to sliding sync. An answer follows from where the client stands, from what it was sent before, which is
/// kept in the database, and from where the server stands: any node can give it, and give it again.
struct SlidingReader: Sendable {
    private struct AnswerName: Hashable {
        var connection: Int64
        var number: Int64
    }

    let sync: SyncReader
    let traits: RoomTraitsReader
    /// What was sent up to an answer does not change.
    private let sent = BoundedCache<AnswerName, SlidingState>(budget: SyncLimits.slidingStateBytes)

    init(sync: SyncReader) {
        self.sync = sync
        traits = RoomTraitsReader(rooms: sync.rooms)
    }

    /// Where a request begins.
    /// - Throws: `DatabaseError`; `M_UNKNOWN_POS`.
    func begin(_ request: SlidingRequest) async throws -> SlidingSession {
        guard let position = request.position else { return SlidingSession() }
        return try await sync.environment.database.read { connection in
            let store = SlidingConnectionStore(connection)
            guard let lastUse = try store.lastUse(of: position.connection, at: position.number, request.name),
                SyncToken(try StreamPositions(connection).current()).isAtOrAfter(position.token)
            else { throw SlidingPosition.unknown }
            var session = SlidingSession(
                connection: position.connection, number: position.number, token: position.token,
                threads: position.threads, lastUse: lastUse)
            let name = AnswerName(connection: position.connection, number: position.number)
            if let known = sent.value(name) {
                session.state = known
            } else {
                guard let state = SlidingState(try store.sent(over: position.connection, at: position.number)) else {
                    throw SlidingPosition.unknown
                }
                sent.put(name, state, cost: state.cost)
                session.state = state
            }
            return session
        }
    }

    /// The answer as of now.
    /// - Parameter now: milliseconds since 1970.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func answer(_ request: SlidingRequest, _ session: SlidingSession, now: Int64) async throws -> SlidingAnswer {
        try await sync.environment.database.read { connection in
            var assembly = try SlidingAssembly(self, request, session, now: now, connection)
            try assembly.addRooms()
            return try assembly.finish()
        }
    }

    /// Keeps what an answer changed, so that the client can go on from it.
    /// - Parameter now: milliseconds since 1970.
    /// - Returns: the answer's `pos`.
    /// - Throws: `DatabaseError`; `M_UNKNOWN_POS` when the connection ended meanwhile.
    func keep(_ answer: SlidingAnswer, _ request: SlidingRequest, now: Int64) async throws -> SlidingPosition {
        let session = answer.session
        let database = sync.environment.database
        // Whoever answers next, at whatever node, finds how far counting came.
        await sync.keepCounts()
        let changes = session.state.changes
        let connection: Int64
        let number: Int64
        if let known = session.connection {
            (connection, number) = (known, try await advance(known, session, changes, now: now))
        } else {
            let limit = sync.environment.configuration.limits.slidingConnectionsPerDevice
            connection = try await database.groupedWrite { connection in
                try SlidingConnectionStore(connection).begin(request.name, changes, limit: limit, now: now)
            }
            number = 1
        }
        if session.state.isChanged {
            sent.put(
                AnswerName(connection: connection, number: number), session.state.kept, cost: session.state.cost)
        }
        return SlidingPosition(
            connection: connection, number: number, threads: session.threads, token: session.token ?? SyncToken())
    }

    private func advance(
        _ connection: Int64, _ session: SlidingSession, _ changes: SlidingConnectionStore.Changes, now: Int64
    ) async throws -> Int64 {
        let database = sync.environment.database
        guard session.state.isChanged else {
            if now - session.lastUse > SyncLimits.slidingUseInterval {
                try await database.groupedWrite { try SlidingConnectionStore($0).touch(connection, now: now) }
            }
            return session.number
        }
        let number = try await database.groupedWrite { transaction in
            try SlidingConnectionStore(transaction).advance(
                connection, from: session.number, changes, kept: SyncLimits.slidingAnswersKept, now: now)
        }
        guard let number else { throw SlidingPosition.unknown }
        return number
    }
}
