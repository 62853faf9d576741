public import MatrixModel
public import SQLDatabase

/// What is to be taken out, and what must not come back.
public struct PurgeJobs {
    private let connection: any SQLConnection

    /// The jobs as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: Jobs

    /// Asks for a purge. Where the same is asked for already, that counts.
    /// - Returns: the job's number.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func add(
        _ kind: PurgeJob.Kind, room: RoomID?, cut: HistoryCut? = nil, isForced: Bool = false, now: Int64
    ) throws -> Int64 {
        let id = room?.text ?? ""
        let same = try connection.query(
            """
            SELECT job_nid FROM purge_jobs WHERE room_id = \(id) AND kind = \(kind.rawValue) AND finished IS NULL
            AND phase = 0 AND kind <> 'history' LIMIT 1
            """
        ).first
        if let same { return try same.integer(0) }
        let rows = try connection.query(
            """
            INSERT INTO purge_jobs (kind, room_id, before_ts, before_position, force, created)
            VALUES (\(kind.rawValue), \(id), \(cut.map(\.closes)), \(cut.flatMap(\.upTo)), \(isForced), \(now))
            RETURNING job_nid
            """)
        try connection.notify("purges")
        guard let row = rows.first else { throw DatabaseError(.corrupt, "a purge was not kept") }
        return try row.integer(0)
    }

    /// A job; nil when there is none, or it is forgotten.
    /// - Throws: `DatabaseError`.
    public func job(_ id: Int64) throws -> PurgeJob? { try jobs("WHERE job_nid = \(id)").first }

    /// The jobs that are still to be done, the oldest first.
    /// - Throws: `DatabaseError`.
    public func open(limit: Int) throws -> [PurgeJob] {
        try jobs("WHERE finished IS NULL ORDER BY job_nid LIMIT \(limit)")
    }

    /// Notes how far a job has come.
    /// - Throws: `DatabaseError`.
    public func save(_ job: PurgeJob) throws {
        try connection.execute(
            """
            UPDATE purge_jobs SET room_nid = \(job.roomNID), phase = \(job.phase), cursor = \(job.cursor),
            removed = \(job.removed), finished = \(job.finished), failure = \(job.failure) WHERE job_nid = \(job.id)
            """)
    }

    /// Forgets jobs that ended before a time.
    /// - Throws: `DatabaseError`.
    public func forget(before time: Int64) throws {
        try connection.execute("DELETE FROM purge_jobs WHERE finished < \(time)")
    }

    private func jobs(_ clause: SQL) throws -> [PurgeJob] {
        try connection.query(
            """
            SELECT job_nid, kind, room_id, room_nid, before_ts, before_position, force, phase, cursor, removed, created,
            finished, failure FROM purge_jobs \(clause)
            """
        ).compactMap { row in
            guard let kind = PurgeJob.Kind(rawValue: try row.text(1)) else { return nil }
            var cut: HistoryCut?
            if let time = try row.optionalInteger(4) {
                cut =
                    try row.optionalInteger(5).map { HistoryCut(upTo: $0, closes: time) } ?? HistoryCut(before: time)
            }
            return PurgeJob(
                id: try row.integer(0), kind: kind, room: try? RoomID(row.text(2)),
                roomNID: try row.optionalInteger(3), cut: cut, isForced: try row.bool(6), phase: try row.integer(7),
                cursor: try row.text(8), removed: try row.integer(9), created: try row.integer(10),
                finished: try row.optionalInteger(11), failure: try row.optionalText(12))
        }
    }

    // MARK: What stays out

    /// Refuses a room from now on, or no more.
    /// - Throws: `DatabaseError`.
    public func setBlocked(_ isBlocked: Bool, room: RoomID, now: Int64) throws {
        guard isBlocked else {
            try connection.execute("DELETE FROM blocked_rooms WHERE room_id = \(room.text)")
            return
        }
        try connection.execute(
            """
            INSERT INTO blocked_rooms (room_id, created) VALUES (\(room.text), \(now)) ON CONFLICT (room_id) DO NOTHING
            """)
    }

    /// Whether nobody here may enter a room: it is blocked, or still being taken out.
    /// - Throws: `DatabaseError`.
    public func isClosed(_ room: RoomID) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM blocked_rooms WHERE room_id = \(room.text)
            UNION ALL SELECT 1 FROM purge_jobs WHERE room_id = \(room.text) AND kind = 'room' AND finished IS NULL
            """
        ).isEmpty
    }

    /// The rooms that are refused.
    /// - Throws: `DatabaseError`.
    public func blocked() throws -> [String] {
        try connection.query("SELECT room_id FROM blocked_rooms ORDER BY room_id").map { try $0.text(0) }
    }
}
