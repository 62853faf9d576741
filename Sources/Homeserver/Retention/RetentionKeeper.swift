internal import Cryptography
internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Takes out what is too old or not wanted any more: messages by policy, rooms, and what they leave. One node does it at a
/// time, by a lease, in small steps with pauses between, so that writers get their turn. All it has done it notes in the
/// database: another node goes on where it stopped.
///
/// What it walks through by time is in `RetentionKeeper+Pass.swift`.
struct RetentionKeeper: Sendable {
    static let poll = Duration.seconds(5)
    /// What is done by one node at a time.
    private static let work = "retention"
    static let stepPause = Duration.milliseconds(20)
    /// How long the right to do it holds, milliseconds; it is kept up with each step.
    static let lease: Int64 = 60_000
    /// Jobs looked at at once.
    static let jobsAtOnce = 20
    /// Milliseconds that leaves of ours have to reach other servers before their room goes.
    static let departureTime: Int64 = 600_000

    /// What is remembered from one turn to the next; lost with the node, and begun anew.
    struct State: Sendable {
        /// When keys of servers and the like were looked through; milliseconds since 1970.
        var lastDaily: Int64 = 0
        var leaseEnds: Int64 = 0
    }

    /// Another node does it.
    struct LeaseLost: Error {}

    let environment: Environment
    let reader: RoomReader
    /// Takes users of ours out of a room that goes; nil where nobody can, as on the command line.
    let memberships: MembershipEditing?
    /// Milliseconds for which a state key must be in no state, twice.
    var grace: Int64 = 3_600_000
    let node: String

    init(environment: Environment, reader: RoomReader, memberships: MembershipEditing?) {
        self.environment = environment
        self.reader = reader
        self.memberships = memberships
        node = Hex.encode(environment.random.bytes(8))
    }

    /// Runs until the task is cancelled.
    func run() async {
        var state = State()
        while !Task.isCancelled {
            do { try await turn(&state) } catch is LeaseLost {} catch is CancellationError { break } catch {
                environment.logger.warning("retention", metadata: ["cause": "\(error)"])
            }
            do { try await environment.clock.sleep(for: Self.poll) } catch { break }
        }
        try? await release()
    }

    /// Gives the right to do it back.
    func release() async throws {
        try await environment.database.write { try WorkLeases($0).release(Self.work, holder: node) }
    }

    /// Does what is due: jobs, then the walk through all rooms.
    func turn(_ state: inout State) async throws {
        let jobs = try await environment.database.read { try PurgeJobs($0).open(limit: Self.jobsAtOnce) }
        let isDue = try await isPassDue()
        guard !jobs.isEmpty || isDue else { return }
        // Nothing is to be done for a job that only waits.
        guard isDue || jobs.contains(where: { !isWaiting($0) }) else { return }
        try await hold(&state)
        for job in jobs {
            do { try await work(on: job, &state) } catch let error
                where !(error is LeaseLost || error is CancellationError)
            {
                // Those after it, and the walk, are not to wait for what may fail for good.
                environment.logger.warning("a purge failed", metadata: ["job": "\(job.id)", "cause": "\(error)"])
            }
        }
        if isDue { try await pass(&state) }
    }

    /// Takes or keeps the right to do it.
    func hold(_ state: inout State) async throws {
        let now = environment.clock.now()
        guard state.leaseEnds - now < Self.lease / 2 else { return }
        let (node, until) = (node, now + Self.lease)
        guard
            try await environment.database.write({
                // The command line does it too.
                try WorkLeases($0).take(Self.work, holder: node, now: now, until: until, isShared: true)
            })
        else {
            state.leaseEnds = 0
            throw LeaseLost()
        }
        state.leaseEnds = until
    }

    /// Lets others have their turn, and keeps the right to go on.
    func pause(_ state: inout State) async throws {
        try await environment.clock.sleep(for: Self.stepPause)
        try await hold(&state)
    }

    // MARK: Jobs

    private func work(on job: PurgeJob, _ state: inout State) async throws {
        switch job.kind {
        case .history: try await purgeHistory(job, &state)
        case .room: try await purgeRoom(job, &state)
        case .leftovers: try await collect(job, &state)
        }
    }

    /// Does one job, where no other node is at work.
    func work(alone job: PurgeJob, _ state: inout State) async throws {
        try await hold(&state)
        try await work(on: job, &state)
        try await release()
    }

    private func purgeHistory(_ job: PurgeJob, _ state: inout State) async throws {
        var job = job
        guard let id = job.room, let cut = job.cut, let room = try await reader.record(id), !room.isPartial else {
            return try await end(&job, failure: "there is no such room here, or its members are not known yet")
        }
        job.removed = Int64(try await purge(room, cut, fromBeginning: true, &state))
        try await end(&job)
    }

    /// Takes messages out of a room, all that a cut takes. Returns how many.
    func purge(
        _ room: RoomRecord, _ cut: HistoryCut, fromBeginning: Bool, _ state: inout State
    ) async throws -> Int {
        let sealer = environment.sealer
        var removed = 0
        var young = 0
        var next: Int64? = try await environment.database.read {
            fromBeginning ? HistoryPurge.beginning : try HistoryPurge($0, sealer).start(room: room.nid)
        }
        while let after = next {
            let seen = young
            let step = try await environment.database.write { connection -> HistoryPurge.Step in
                // Its newest events are others by now, perhaps.
                guard let room = try RoomStore(connection).room(nid: room.nid) else { return HistoryPurge.Step() }
                return try HistoryPurge(connection, sealer).step(room, cut, after: after, young: seen)
            }
            (next, young) = (step.next, step.young)
            removed += step.removed
            if next != nil { try await pause(&state) }
        }
        return removed
    }

    private func purgeRoom(_ job: PurgeJob, _ state: inout State) async throws {
        var job = job
        if job.roomNID == nil, let id = job.room, try await !isEmpty(id, &job) { return }
        let server = environment.serverName
        while job.finished == nil {
            let now = environment.clock.now()
            let current = job
            job = try await environment.database.write { connection in
                var job = current
                _ = try RoomPurge(connection).step(&job, server: server, now: now)
                return job
            }
            if job.finished == nil { try await pause(&state) }
        }
        guard job.failure == nil else { return }
        environment.logger.notice(
            "room deleted", metadata: ["room": "\(job.room?.text ?? "")", "events": "\(job.removed)"])
    }

    /// Whether a room has none of our users in it, or none any more that were to be taken out.
    private func isEmpty(_ id: RoomID, _ job: inout PurgeJob) async throws -> Bool {
        let server = environment.serverName
        guard let room = try await reader.record(id) else { return true }
        let users = try await environment.database.read { connection in
            try RoomStore(connection).members(room: room.nid).filter {
                $0.user.serverName == server && [.join, .invite, .knock].contains($0.membership)
            }
        }
        guard job.isForced || users.isEmpty else {
            try await end(&job, failure: "users of this server are in it")
            return false
        }
        // On the command line nobody can send their leaves.
        guard let memberships else { return true }
        let now = environment.clock.now()
        if job.cursor.isEmpty {
            for user in users.map(\.user) {
                do { try await memberships.leave(id, as: user) } catch {
                    environment.logger.info(
                        "could not leave a room that is deleted", metadata: ["room": "\(id)", "cause": "\(error)"])
                }
            }
            job.cursor = String(now)
            let noted = job
            try await environment.database.write { try PurgeJobs($0).save(noted) }
        }
        // Other servers hear of it first.
        let isSent = try await environment.database.read { try Outbox($0).isSent(room: room.nid) }
        guard isSent || now - (Int64(job.cursor) ?? 0) >= Self.departureTime else { return false }
        job.cursor = ""
        return true
    }

    func end(_ job: inout PurgeJob, failure: String? = nil) async throws {
        (job.finished, job.failure) = (environment.clock.now(), failure)
        let ended = job
        try await environment.database.write { try PurgeJobs($0).save(ended) }
    }

    // MARK: What rooms leave

    /// The parts of a collection. Between the walks is a pause, and a second after the memories were told again: so whoever
    /// had a key's number from before has written what it is for, and whoever asks now takes its mark away.
    private enum CollectionPhase: Int64 { case waiting, marking, marked, told, removing }

    private func isWaiting(_ job: PurgeJob) -> Bool {
        guard job.kind == .leftovers, let phase = CollectionPhase(rawValue: job.phase) else { return false }
        guard phase == .marked || phase == .told else { return false }
        return environment.clock.now() < (Int64(job.cursor) ?? 0) + grace
    }

    private func collect(_ job: PurgeJob, _ state: inout State) async throws {
        var job = job
        guard !isWaiting(job), let phase = CollectionPhase(rawValue: job.phase) else { return }
        let now = environment.clock.now()
        switch phase {
        case .waiting, .marking:
            job.phase = CollectionPhase.marking.rawValue
            try await save(job)
            job.removed += Int64(try await walk(job, removesKeys: false, &state))
            (job.phase, job.cursor) = (CollectionPhase.marked.rawValue, String(environment.clock.now()))
            try await save(job)
        case .marked:
            try await environment.database.write { try LeftoverCollection.tellMarked($0) }
            (job.phase, job.cursor) = (CollectionPhase.told.rawValue, String(now))
            try await save(job)
        case .told, .removing:
            job.phase = CollectionPhase.removing.rawValue
            try await save(job)
            job.removed += Int64(try await walk(job, removesKeys: true, &state))
            try await end(&job)
            try await freeSpace(&state)
        }
    }

    private func walk(_ job: PurgeJob, removesKeys: Bool, _ state: inout State) async throws -> Int {
        var walk = LeftoverCollection(removesKeys: removesKeys, now: environment.clock.now())
        while try await walk.step(environment.database) { try await pause(&state) }
        return walk.removed
    }

    private func save(_ job: PurgeJob) async throws {
        try await environment.database.write { try PurgeJobs($0).save(job) }
    }
}
