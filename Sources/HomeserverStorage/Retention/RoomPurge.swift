public import MatrixModel
public import SQLDatabase

/// Takes a room out of the database, some rows at a time. First its row goes, in one transaction with a word to the users
/// who had it: from then on nobody reads it or writes to it. Then follows what was of it, and the job says how far that came.
/// States are made of nodes that no other room has, but their keys are shared: of both `LeftoverCollection` takes care.
public struct RoomPurge {
    /// Rows taken out in a step.
    public static let rowsPerStep = 200

    /// A table with rows of rooms, and the columns that tell them apart.
    struct Table {
        var name: String
        /// `room_nid`, or `room_id`.
        var room = "room_nid"
        var keys: [String]
    }

    /// Tables whose rows go with a room. What another part of the server keeps about rooms is listed here;
    /// `TableBoundsTests` looks for tables that are not.
    static let tables: [Table] = [
        Table(name: "room_members", keys: ["user_id"]),
        Table(name: "receipts", keys: ["user_id", "type", "thread"]),
        Table(name: "typing", keys: ["user_id"]),
        Table(name: "typing_rooms", keys: []),
        Table(name: "backward_extremities", keys: ["event_id"]),
        Table(name: "pending_redactions", keys: ["target_event_id", "redaction_nid"]),
        Table(name: "event_relations", keys: ["event_nid"]),
        Table(name: "partial_rooms", keys: []),
        Table(name: "partial_room_servers", keys: ["server"]),
        Table(name: "room_histories", keys: []),
        Table(name: "abandoned_rooms", keys: []),
        Table(name: "sticky_events", keys: ["event_nid"]),
        Table(name: "delayed_events", room: "room_id", keys: ["delay_nid"]),
        Table(name: "room_aliases", room: "room_id", keys: ["alias"]),
        Table(name: "inbound_staging", room: "room_id", keys: ["staged_nid"]),
    ]
    /// Tables with such a column that are seen to in another way.
    static let others: Set<String> = [
        "rooms", "events", "state_nodes", "forgotten_rooms", "destination_rooms", "account_data",
        "unread_counts", "thread_subscriptions",
        // With the connection, and when the pause is over.
        "sliding_rooms", "push_mail_pauses",
        // Tells the users that the room is gone.
        "invites_withdrawn", "invites_received",
        // The users' own, who may come back.
        "key_backup_keys",
        "purge_jobs", "blocked_rooms",
        // A day after the join.
        "joining_rooms",
        // What users told the operator.
        "reports",
    ]

    private enum Phase: Int64 {
        case closing, placed, unplaced, tables, destinations, users
    }

    private let connection: any SQLConnection

    /// The database as this transaction sees it.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Does the next step of a job, and notes it.
    /// - Parameters:
    ///   - server: ours.
    ///   - now: milliseconds since 1970.
    /// - Returns: whether there is more to do.
    /// - Throws: `DatabaseError`.
    public func step(_ job: inout PurgeJob, server: ServerName, now: Int64) throws -> Bool {
        guard let phase = Phase(rawValue: job.phase) else { return false }
        let isOver: Bool
        switch phase {
        case .closing: isOver = try close(&job, server, now)
        case .placed: isOver = try events(&job, "position IS NOT NULL")
        case .unplaced: isOver = try events(&job, "position IS NULL")
        case .tables: isOver = try table(&job)
        case .destinations: isOver = try destinations(&job)
        case .users: isOver = try users(&job)
        }
        if isOver { (job.phase, job.cursor) = (job.phase + 1, "") }
        if Phase(rawValue: job.phase) == nil {
            job.finished = now
            try PurgeJobs(connection).add(.leftovers, room: nil, now: now)
        }
        try PurgeJobs(connection).save(job)
        return job.finished == nil
    }

    // MARK: Its parts

    private func close(_ job: inout PurgeJob, _ server: ServerName, _ now: Int64) throws -> Bool {
        guard let id = job.room, let room = try RoomStore(connection).room(id) else {
            (job.finished, job.failure) = (now, "there is no such room here")
            return false
        }
        job.roomNID = room.nid
        // Those who had it are shown it as left, as an invite that was withdrawn.
        let users = try connection.query(
            """
            SELECT m.user_id FROM room_members m WHERE m.room_nid = \(room.nid) AND m.server = \(server.text)
            AND NOT EXISTS (SELECT 1 FROM forgotten_rooms f WHERE f.user_id = m.user_id AND f.room_nid = m.room_nid)
            """
        ).map { try $0.text(0) }
        let position = try StreamPositions(connection).advance("events")
        for user in users {
            try connection.execute(
                """
                INSERT INTO invites_withdrawn (user_id, room_id, position) VALUES (\(user), \(id.text), \(position))
                ON CONFLICT (user_id, room_id) DO UPDATE SET position = excluded.position
                """)
        }
        try connection.execute("DELETE FROM rooms WHERE room_nid = \(room.nid)")
        for start in stride(from: 0, to: users.count, by: Limits.usersPerNotification) {
            let part = users[start..<min(start + Limits.usersPerNotification, users.count)]
            try connection.notify("events \(position) 0 " + part.joined(separator: " "))
        }
        return true
    }

    private func events(_ job: inout PurgeJob, _ place: SQL) throws -> Bool {
        guard let room = job.roomNID else { return true }
        let nids = try connection.query(
            """
            SELECT event_nid FROM events WHERE room_nid = \(room) AND \(place) LIMIT \(Self.rowsPerStep)
            """
        ).map { try $0.integer(0) }
        guard !nids.isEmpty else { return true }
        try connection.executeAll(EventRemoval.statements(for: nids, room: room))
        try EventRemoval.notify(nids, connection)
        job.removed += Int64(nids.count)
        return false
    }

    private func table(_ job: inout PurgeJob) throws -> Bool {
        let index = Int(job.cursor) ?? 0
        guard let room = job.roomNID, let id = job.room, Self.tables.indices.contains(index) else { return true }
        let table = Self.tables[index]
        let belongs: SQL = table.room == "room_nid" ? "room_nid = \(room)" : "\(raw: table.room) = \(id.text)"
        if try removeSome(of: table, where: belongs) < Self.rowsPerStep { job.cursor = String(index + 1) }
        return false
    }

    /// Takes some of a table's rows out and tells how many.
    private func removeSome(of table: Table, where belongs: SQL) throws -> Int {
        guard !table.keys.isEmpty else {
            try connection.execute("DELETE FROM \(raw: table.name) WHERE \(belongs)")
            return 0
        }
        let columns = table.keys.joined(separator: ", ")
        let rows = try connection.query(
            "SELECT \(raw: columns) FROM \(raw: table.name) WHERE \(belongs) LIMIT \(Self.rowsPerStep)")
        var statements: [SQL] = []
        for row in rows {
            var statement: SQL = "DELETE FROM \(raw: table.name) WHERE \(belongs)"
            for (index, key) in table.keys.enumerated() {
                switch try row.value(index) {
                case .integer(let number): statement += " AND \(raw: key) = \(number)"
                case .text(let text): statement += " AND \(raw: key) = \(text)"
                default: throw DatabaseError(.corrupt, "\(table.name).\(key) holds neither a number nor text")
                }
            }
            statements.append(statement)
        }
        try connection.executeAll(statements)
        return rows.count
    }

    /// The servers it was sent to, some at a time; what waited for them is not sent.
    private func destinations(_ job: inout PurgeJob) throws -> Bool {
        guard let room = job.roomNID else { return true }
        let names = try connection.query(
            """
            SELECT destination FROM destinations WHERE destination > \(job.cursor) ORDER BY destination
            LIMIT \(Self.rowsPerStep)
            """
        ).map { try $0.text(0) }
        guard let last = names.last else { return true }
        try connection.execute(
            "DELETE FROM destination_rooms WHERE room_nid = \(room) AND destination IN \(list: names)")
        try connection.execute(
            """
            DELETE FROM outbox WHERE destination IN \(list: names)
            AND NOT EXISTS (SELECT 1 FROM events e WHERE e.event_nid = outbox.event_nid)
            """)
        job.cursor = last
        return false
    }

    /// What users kept about it, some users at a time.
    private func users(_ job: inout PurgeJob) throws -> Bool {
        guard let room = job.roomNID, let id = job.room else { return true }
        let users = try connection.query(
            "SELECT user_id FROM accounts WHERE user_id > \(job.cursor) ORDER BY user_id LIMIT \(Self.rowsPerStep)"
        ).map { try $0.text(0) }
        guard let last = users.last else { return true }
        try connection.execute(
            "DELETE FROM account_data WHERE room_id = \(id.text) AND user_id IN \(list: users)")
        for table in ["forgotten_rooms", "unread_counts", "thread_subscriptions"] {
            try connection.execute(
                "DELETE FROM \(raw: table) WHERE room_nid = \(room) AND user_id IN \(list: users)")
        }
        job.cursor = last
        return false
    }
}
