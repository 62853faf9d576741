public import HomeserverStorage
public import MatrixModel
internal import SQLDatabase

/// What the operator does to rooms from the command line, on the running server's database. A server that runs does the work;
/// where none does, it is done here.
///
/// All functions throw `DatabaseError`.
public struct RoomAdministration: Sendable {
    /// How long a server that runs has to begin.
    var patience = Duration.seconds(15)
    private static let poll = Duration.milliseconds(300)

    /// A room of this server, as it is listed.
    public struct Listed: Sendable {
        public let id: String
        public let version: String
        /// Joined members, and those of them who are of this server.
        public let joined: Int64
        public let joinedHere: Int64
        /// Whether it is in the room directory.
        public let isPublished: Bool
        /// Whether none of this server's users is in it or remembers it.
        public let isAbandoned: Bool
    }

    private let environment: Environment

    /// Works on the database of an environment.
    public init(environment: Environment) { self.environment = environment }

    // MARK: Looking

    /// The next rooms in the order of their ids, after one: an empty answer ends it.
    public func list(after id: String) async throws -> [Listed] {
        let server = environment.serverName
        return try await environment.database.read { connection in
            try RoomStore(connection).listing(after: id, server: server).map { row in
                Listed(
                    id: row.id, version: row.version, joined: row.joined, joinedHere: row.joinedHere,
                    isPublished: row.isPublished, isAbandoned: row.isAbandoned)
            }
        }
    }

    /// The rooms that are refused.
    public func blocked() async throws -> [String] {
        try await environment.database.read { try PurgeJobs($0).blocked() }
    }

    // MARK: Changing

    /// Refuses a room to all users here, or no more.
    public func setBlocked(_ isBlocked: Bool, _ room: RoomID) async throws {
        let now = environment.clock.now()
        try await environment.database.write { try PurgeJobs($0).setBlocked(isBlocked, room: room, now: now) }
    }

    /// Where a message stands before which the history of its room is to go; nil when it is not known or has no place.
    public func cut(before event: EventID, in room: RoomID) async throws -> HistoryCut? {
        let (sealer, now) = (environment.sealer, environment.clock.now())
        return try await environment.database.read { connection in
            guard let stored = try EventLog(connection, sealer).event(event), stored.pdu.roomID == room,
                let position = stored.position
            else { return nil }
            return HistoryCut(upTo: position - 1, closes: min(stored.pdu.originServerTimestamp, now))
        }
    }

    /// Takes messages out of a room. Returns what became of it.
    public func purgeHistory(_ room: RoomID, _ cut: HistoryCut) async throws -> PurgeJob {
        let now = environment.clock.now()
        return try await carryOut(
            try await environment.database.write { try PurgeJobs($0).add(.history, room: room, cut: cut, now: now) })
    }

    /// Takes a room out of the database. Returns what became of it.
    /// - Parameter isForced: whether users of this server who are in it are taken out first; else it is refused.
    public func delete(_ room: RoomID, isForced: Bool) async throws -> PurgeJob {
        let now = environment.clock.now()
        return try await carryOut(
            try await environment.database.write {
                try PurgeJobs($0).add(.room, room: room, isForced: isForced, now: now)
            })
    }

    /// Waits until a server has done a job, or does it.
    private func carryOut(_ id: Int64) async throws -> PurgeJob {
        let keeper = RetentionKeeper(
            environment: environment, reader: RoomReader(environment: environment), memberships: nil)
        var state = RetentionKeeper.State()
        let begun = environment.clock.monotonic()
        while true {
            guard let job = try await environment.database.read({ try PurgeJobs($0).job(id) }) else {
                throw DatabaseError(.other, "the job is gone")
            }
            if job.finished != nil { return job }
            if environment.clock.monotonic() - begun >= patience, job.phase == 0, job.cursor.isEmpty {
                do { try await keeper.work(alone: job, &state) } catch is RetentionKeeper.LeaseLost {}
            }
            try await environment.clock.sleep(for: Self.poll)
        }
    }
}
