internal import MatrixModel
public import SQLDatabase

/// PDUs that other servers sent and that are not judged yet, so that a crash loses none; and the answers to their
/// transactions.
public struct InboundStaging {
    public struct Staged: Sendable {
        public var nid: Int64
        /// The server that is asked first for what it refers to.
        public var origin: String
        /// Servers that sent it too.
        public var others: [String]
        public var roomID: String
        public var eventID: String
        public var body: [UInt8]
        public var tries: Int
    }

    /// A room's staged events, of one kind: those that can be judged from what is here, and those for which something must
    /// be fetched first. So a server that is slow to tell what it refers to holds up nobody but itself.
    public struct Lane: Sendable, Hashable {
        public var roomID: String
        public var fetches: Bool

        public init(roomID: String, fetches: Bool) {
            self.roomID = roomID
            self.fetches = fetches
        }

        /// Names it. No room id has a blank before its first character.
        public var key: String { fetches ? "slow " + roomID : roomID }
    }

    /// What of one server waits in one room.
    public struct Share: Sendable, Hashable {
        /// Not tried yet: it waits for this server alone.
        public var fresh = 0
        /// Tried in vain, or in need of what must be fetched.
        public var held = 0

        public init() {}
    }

    /// Servers beside the first that are remembered for what waits.
    private static let maximumOthers = 8

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Takes a PDU in. One that waits already is left as it is; but whoever is the better one to ask for what it refers to
    /// takes the place of who sent it first: its sender's own server, and anybody in the room where the first was asked in vain.
    /// The others that are in the room are remembered, some of them. A copy that is whole takes the place of one that is not.
    /// - Parameters:
    ///   - isOwn: whether the origin is the server of the event's sender.
    ///   - isResident: whether the origin has a user in the room.
    public func stage(
        origin: String, roomID: String, eventID: String, body: [UInt8], isOwn: Bool = false, isResident: Bool = true,
        now: Int64, sealer: StorageSealer
    ) throws {
        let sealed = try sealer.seal(body, context: Self.context(eventID))
        let isNew =
            try connection.execute(
                """
                INSERT INTO inbound_staging (origin, room_id, event_id, body, received)
                VALUES (\(origin), \(roomID), \(eventID), \(sealed), \(now)) ON CONFLICT (room_id, event_id) DO NOTHING
                """) == 1
        guard !isNew else { return }
        let rows = try connection.query(
            """
            SELECT staged_nid, body, origin, others FROM inbound_staging
            WHERE room_id = \(roomID) AND event_id = \(eventID) \(raw: connection.dialect.forUpdate)
            """)
        guard let row = rows.first else { return }
        let (nid, first, others) = (try row.integer(0), try row.text(2), try Self.names(row.text(3)))
        if let waiting = try? sealer.open(row.bytes(1), context: Self.context(eventID)), waiting != body,
            !Self.isWhole(waiting), Self.isWhole(body)
        {
            // What is being judged just now is judged once more so.
            try remove([nid])
            _ = try connection.execute(
                """
                INSERT INTO inbound_staging (origin, room_id, event_id, body, received, others)
                VALUES (\(origin), \(roomID), \(eventID), \(sealed), \(now),
                    \(Self.list(others + [first], without: origin)))
                """)
            return
        }
        guard first != origin, isOwn || isResident else { return }
        // Tries begin anew with the sender's own server only, or two that send by turns would have it tried for ever; nor do
        // others have it tried sooner.
        let takesPlace = try connection.execute(
            """
            UPDATE inbound_staging SET origin = \(origin), others = \(Self.list(others + [first], without: origin)),
                tries = CASE WHEN \(isOwn ? 1 : 0) = 1 THEN 0 ELSE tries END,
                not_before = CASE WHEN \(isOwn ? 1 : 0) = 1 THEN 0 ELSE not_before END
            WHERE staged_nid = \(nid) AND tries > \(isOwn ? -1 : 0)
            """)
        guard takesPlace == 0, !others.contains(origin), others.count < Self.maximumOthers else { return }
        _ = try connection.execute(
            "UPDATE inbound_staging SET others = \(Self.list(others + [origin])) WHERE staged_nid = \(nid)")
    }

    private static func names(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

    private static func list(_ names: [String], without name: String? = nil) -> String {
        names.filter { $0 != name }.suffix(maximumOthers).joined(separator: " ")
    }

    private static func isWhole(_ body: [UInt8]) -> Bool {
        (try? JSONDocument(body)).map { ContentHash.matches($0.root) } ?? false
    }

    /// How many wait from one server, counted up to a limit.
    public func count(from origin: String, upTo limit: Int) throws -> Int {
        try connection.query(
            """
            SELECT COUNT(*) FROM (SELECT 1 FROM inbound_staging WHERE origin = \(origin) LIMIT \(limit)) AS waiting
            """
        ).first?.int(0) ?? 0
    }

    /// Whether something from a server waits in a room.
    /// - Throws: `DatabaseError`.
    public func waits(from origin: String, in room: String) throws -> Bool {
        try !connection.query(
            "SELECT 1 FROM inbound_staging WHERE room_id = \(room) AND origin = \(origin) LIMIT 1"
        ).isEmpty
    }

    /// What of a server waits in each of some rooms; rooms of which nothing waits are left out.
    /// - Throws: `DatabaseError`.
    public func shares(of origin: String, in rooms: [String]) throws -> [String: Share] {
        var shares: [String: Share] = [:]
        for chunk in rooms.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT room_id, COUNT(*), COUNT(CASE WHEN needs_fetch = 0 AND tries = 0 THEN 1 END)
                FROM inbound_staging WHERE origin = \(origin) AND room_id IN \(list: chunk) GROUP BY room_id
                """)
            {
                var share = Share()
                share.fresh = try row.int(2)
                share.held = try row.int(1) - share.fresh
                shares[try row.text(0)] = share
            }
        }
        return shares
    }

    /// Drops what is too much in a room: of whichever server has most there, what must be fetched for, was tried most and came
    /// last; of those in the room after all others. So nobody who sends much keeps out who sends little.
    /// - Returns: the ids of what was dropped.
    /// - Throws: `DatabaseError`.
    public func trim(room: String, to limit: Int) throws -> Set<String> {
        let count = try connection.query("SELECT COUNT(*) FROM inbound_staging WHERE room_id = \(room)").first?.int(0)
        guard let count, count > limit else { return [] }
        let store = RoomStore(connection)
        let record = try (try? RoomID(room)).flatMap { try store.room($0) }
        let residents = Set(try record.map { try store.joinedServers(room: $0.nid).map(\.text) } ?? [])
        var left: [String: Int] = [:]
        for row in try connection.query(
            "SELECT origin, COUNT(*) FROM inbound_staging WHERE room_id = \(room) GROUP BY origin")
        {
            left[try row.text(0)] = try row.int(1)
        }
        var excess: [String: Int] = [:]
        for _ in limit..<count {
            let others = left.filter { $0.value > 0 && !residents.contains($0.key) }
            let most = (others.isEmpty ? left : others).max(by: { ($0.value, $0.key) < ($1.value, $1.key) })
            guard let most else { break }
            left[most.key] = most.value - 1
            excess[most.key, default: 0] += 1
        }
        var dropped: Set<String> = []
        for (origin, number) in excess {
            let rows = try connection.query(
                """
                SELECT staged_nid, event_id FROM inbound_staging WHERE room_id = \(room) AND origin = \(origin)
                ORDER BY needs_fetch DESC, tries DESC, staged_nid DESC LIMIT \(number)
                """)
            for chunk in rows.chunks(of: Limits.bindsPerStatement) { try remove(chunk.map { try $0.integer(0) }) }
            dropped.formUnion(try rows.map { try $0.text(1) })
        }
        return dropped
    }

    /// Lanes in which something may be judged now, the oldest first, without those that another node works on.
    public func lanes(now: Int64, holder: String, limit: Int) throws -> [Lane] {
        try connection.query(
            """
            SELECT s.room_id, s.needs_fetch FROM inbound_staging s WHERE s.not_before <= \(now) AND NOT EXISTS (
                SELECT 1 FROM room_leases l WHERE l.until > \(now) AND l.holder <> \(holder)
                AND l.lane = CASE WHEN s.needs_fetch = 1 THEN 'slow ' ELSE '' END || s.room_id)
            GROUP BY s.room_id, s.needs_fetch ORDER BY MIN(s.staged_nid) LIMIT \(limit)
            """
        ).map { Lane(roomID: try $0.text(0), fetches: try $0.integer(1) == 1) }
    }

    /// The servers of whose events in a lane some may be judged now.
    /// - Throws: `DatabaseError`.
    public func origins(in lane: Lane, now: Int64) throws -> [String] {
        try connection.query(
            """
            SELECT DISTINCT origin FROM inbound_staging
            WHERE room_id = \(lane.roomID) AND needs_fetch = \(lane.fetches ? 1 : 0) AND not_before <= \(now)
            """
        ).map { try $0.text(0) }
    }

    /// A lane's events that may be judged now: the oldest of those tried least.
    /// - Parameter origin: whose; anybody's where nil.
    public func staged(
        in lane: Lane, of origin: String? = nil, now: Int64, limit: Int, sealer: StorageSealer
    ) throws -> [Staged] {
        let whose: SQL = if let origin { "AND origin = \(origin)" } else { "" }
        return try connection.query(
            """
            SELECT staged_nid, origin, room_id, event_id, body, tries, others FROM inbound_staging
            WHERE room_id = \(lane.roomID) AND needs_fetch = \(lane.fetches ? 1 : 0) AND not_before <= \(now)
            \(whose) ORDER BY tries, staged_nid LIMIT \(limit)
            """
        ).map { row in
            let eventID = try row.text(3)
            return Staged(
                nid: try row.integer(0), origin: try row.text(1), others: try Self.names(row.text(6)),
                roomID: try row.text(2), eventID: eventID,
                body: try sealer.open(row.bytes(4), context: Self.context(eventID)), tries: try row.int(5))
        }
    }

    /// What a sealed event that waits is bound to.
    static func context(_ eventID: String) -> String { "staged:" + eventID }

    /// Removes an event that cannot be judged, unless somebody else has sent it since.
    public func giveUp(_ staged: Staged) throws {
        _ = try connection.execute(
            """
            DELETE FROM inbound_staging
            WHERE staged_nid = \(staged.nid) AND origin = \(staged.origin) AND tries = \(Int64(staged.tries))
            """)
    }

    public func remove(_ nids: [Int64]) throws {
        guard !nids.isEmpty else { return }
        _ = try connection.execute("DELETE FROM inbound_staging WHERE staged_nid IN \(list: nids)")
    }

    /// Puts an event in the lane of those for which something must be fetched.
    public func needsFetch(_ nid: Int64) throws {
        _ = try connection.execute("UPDATE inbound_staging SET needs_fetch = 1 WHERE staged_nid = \(nid)")
    }

    /// Notes that an event could not be judged, and when to try it again. What else the same server sent for the room, and
    /// would have to be fetched too, waits until `others`, so that one server does not hold up the rest.
    public func postpone(_ staged: Staged, until time: Int64, others: Int64) throws {
        _ = try connection.executeAll([
            """
            UPDATE inbound_staging SET not_before = \(others) WHERE room_id = \(staged.roomID)
            AND origin = \(staged.origin) AND needs_fetch = 1 AND not_before < \(others)
            """,
            """
            UPDATE inbound_staging SET tries = tries + 1, not_before = \(time)
            WHERE staged_nid = \(staged.nid) AND (origin = \(staged.origin) OR tries > 0) AND tries = \(Int64(staged.tries))
            """,
        ])
    }

    /// The answer that a transaction got.
    public func answer(origin: String, transactionID: String) throws -> [UInt8]? {
        try connection.query(
            """
            SELECT response FROM received_transactions
            WHERE origin = \(origin) AND transaction_id = \(transactionID)
            """
        ).first?.bytes(0)
    }

    /// Keeps the answer to a transaction. Returns the one that counts: the first.
    public func save(answer: [UInt8], origin: String, transactionID: String, now: Int64) throws -> [UInt8] {
        let isFirst =
            try connection.execute(
                """
                INSERT INTO received_transactions (origin, transaction_id, response, received)
                VALUES (\(origin), \(transactionID), \(answer), \(now)) ON CONFLICT (origin, transaction_id) DO NOTHING
                """) == 1
        return isFirst ? answer : try self.answer(origin: origin, transactionID: transactionID) ?? answer
    }

    /// Forgets the answers to old transactions.
    public func forgetAnswers(before time: Int64) throws {
        _ = try connection.execute("DELETE FROM received_transactions WHERE received < \(time)")
    }

    /// Takes or keeps the right to work on a lane.
    public func lease(_ lane: Lane, holder: String, now: Int64, until: Int64) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO room_leases (lane, holder, until) VALUES (\(lane.key), \(holder), \(until))
            ON CONFLICT (lane) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE room_leases.until <= \(now) OR room_leases.holder = \(holder)
            """) == 1
    }

    /// Keeps the right to work on lanes, by their keys.
    public func renew(_ lanes: [String], holder: String, until: Int64) throws {
        guard !lanes.isEmpty else { return }
        _ = try connection.execute(
            "UPDATE room_leases SET until = \(until) WHERE lane IN \(list: lanes) AND holder = \(holder)")
    }

    /// Takes every right to work on a lane away: for the only node, at its start.
    public func releaseAll() throws {
        _ = try connection.execute("DELETE FROM room_leases")
    }

    public func release(_ lane: Lane, holder: String) throws {
        _ = try connection.execute("DELETE FROM room_leases WHERE lane = \(lane.key) AND holder = \(holder)")
    }
}
