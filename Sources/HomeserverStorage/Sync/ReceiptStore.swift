public import MatrixModel
public import SQLDatabase

/// How far users have read. Spec: <https://spec.matrix.org/v1.19/client-server-api/#receipts>
public struct ReceiptStore {
    /// A user's receipt in a room.
    public struct Receipt: Sendable, Hashable {
        /// `room_nid`
        public var roomNID: Int64
        public var user: UserID
        /// `m.read` or `m.read.private`.
        public var type: String
        /// The thread's root, `main`, or nil for a receipt of no thread.
        public var thread: String?
        public var eventID: EventID
        /// The event's place in the room's timeline.
        public var eventPosition: Int64
        /// Milliseconds since 1970.
        public var timestamp: Int64

        /// Makes a receipt.
        public init(
            roomNID: Int64, user: UserID, type: String, thread: String?, eventID: EventID, eventPosition: Int64,
            timestamp: Int64
        ) {
            self.roomNID = roomNID
            self.user = user
            self.type = type
            self.thread = thread
            self.eventID = eventID
            self.eventPosition = eventPosition
            self.timestamp = timestamp
        }
    }

    private let connection: any SQLConnection

    /// The receipts as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Keeps receipts that lie further in the timeline than those of their kind that are there, and wakes the rooms' syncs.
    /// - Returns: those that were kept.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func take(_ receipts: [Receipt]) throws -> [Receipt] {
        var newer: [Receipt] = []
        for receipt in receipts where try isNewer(receipt) { newer.append(receipt) }
        guard !newer.isEmpty else { return [] }
        let position = try StreamPositions(connection).advance("receipts")
        try connection.executeAll(
            newer.map { receipt in
                """
                INSERT INTO receipts (room_nid, user_id, type, thread, event_id, event_position, ts, position)
                VALUES (\(receipt.roomNID), \(receipt.user.text), \(receipt.type), \(receipt.thread ?? ""),
                \(receipt.eventID.text), \(receipt.eventPosition), \(receipt.timestamp), \(position))
                ON CONFLICT (room_nid, user_id, type, thread) DO UPDATE SET event_id = excluded.event_id,
                event_position = excluded.event_position, ts = excluded.ts, position = excluded.position
                """
            })
        for room in Set(newer.map(\.roomNID)) { try connection.notify("receipts \(position) \(room)") }
        return newer
    }

    private func isNewer(_ receipt: Receipt) throws -> Bool {
        let known = try connection.query(
            """
            SELECT event_position FROM receipts WHERE room_nid = \(receipt.roomNID)
            AND user_id = \(receipt.user.text) AND type = \(receipt.type) AND thread = \(receipt.thread ?? "")
            """
        ).first?.integer(0)
        return known.map { $0 < receipt.eventPosition } ?? true
    }

    /// The receipts of a room that `reader` may see: all public ones and the reader's private ones; the newest `limit`.
    /// - Throws: `DatabaseError`.
    public func receipts(room: Int64, readableBy reader: UserID, limit: Int) throws -> [Receipt] {
        try connection.query(
            Self.columns
                + """
                WHERE r.room_nid = \(room) AND (r.type <> 'm.read.private' OR r.user_id = \(reader.text))
                ORDER BY r.position DESC LIMIT \(limit)
                """
        ).compactMap(Self.receipt)
    }

    /// The same of several rooms, by `room_nid`: of each the newest `limit`.
    /// - Throws: `DatabaseError`.
    public func receipts(
        rooms: some Collection<Int64>, readableBy reader: UserID, limit: Int
    ) throws -> [Int64: [Receipt]] {
        var found: [Int64: [Receipt]] = [:]
        for chunk in Array(rooms).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT room_nid, user_id, type, thread, event_id, event_position, ts FROM (
                    SELECT r.*, ROW_NUMBER() OVER (PARTITION BY r.room_nid ORDER BY r.position DESC) AS place
                    FROM receipts r WHERE r.room_nid IN \(list: chunk)
                    AND (r.type <> 'm.read.private' OR r.user_id = \(reader.text))) newest
                WHERE place <= \(limit) ORDER BY room_nid, place
                """)
            {
                if let receipt = try Self.receipt(row) { found[receipt.roomNID, default: []].append(receipt) }
            }
        }
        return found
    }

    /// The receipts that changed between two positions in the rooms that `reader` is joined to and may see.
    /// - Throws: `DatabaseError`.
    public func changes(for reader: UserID, after: Int64, upTo: Int64) throws -> [Receipt] {
        guard after < upTo else { return [] }
        return try connection.query(
            Self.columns
                + """
                JOIN room_members m ON m.room_nid = r.room_nid AND m.user_id = \(reader.text) AND m.membership = 'join'
                WHERE r.position > \(after) AND r.position <= \(upTo)
                AND (r.type <> 'm.read.private' OR r.user_id = \(reader.text)) ORDER BY r.position
                """
        ).compactMap(Self.receipt)
    }

    /// The receipts of one room that changed between two positions and that `reader` may see, the newest `limit`.
    /// - Throws: `DatabaseError`.
    public func changes(
        room: Int64, readableBy reader: UserID, after: Int64, upTo: Int64, limit: Int
    ) throws -> [Receipt] {
        try connection.query(
            Self.columns
                + """
                WHERE r.room_nid = \(room) AND r.position > \(after) AND r.position <= \(upTo)
                AND (r.type <> 'm.read.private' OR r.user_id = \(reader.text)) ORDER BY r.position DESC LIMIT \(limit)
                """
        ).compactMap(Self.receipt)
    }

    /// The receipts of a room on some events that `reader` may see, and all the reader's own; the newest `limit`.
    /// - Throws: `DatabaseError`.
    public func receipts(
        room: Int64, on events: [EventID], readableBy reader: UserID, limit: Int
    ) throws -> [Receipt] {
        var clause: SQL = "r.user_id = \(reader.text)"
        if !events.isEmpty {
            clause += " OR (r.type <> 'm.read.private' AND r.event_id IN \(list: events.map(\.text)))"
        }
        return try connection.query(
            Self.columns
                + "WHERE r.room_nid = \(room) AND (\(clause)) ORDER BY r.position DESC LIMIT \(limit)"
        ).compactMap(Self.receipt)
    }

    /// The places in their timelines up to which a user has read rooms: `""` for all of a room, else by thread. The newer of
    /// the public and the private receipt counts.
    /// - Parameter threads: of which threads, beside those of no thread.
    /// - Throws: `DatabaseError`.
    public func places(
        of user: UserID, rooms: some Collection<Int64>, threads: some Collection<String>
    ) throws -> [Int64: [String: Int64]] {
        var found: [Int64: [String: Int64]] = [:]
        for names in ([""] + threads).chunks(of: Limits.bindsPerStatement) {
            for chunk in Array(rooms).chunks(of: Limits.bindsPerStatement) {
                for row in try connection.query(
                    """
                    SELECT room_nid, thread, MAX(event_position) FROM receipts
                    WHERE room_nid IN \(list: chunk) AND user_id = \(user.text) AND thread IN \(list: names)
                    GROUP BY room_nid, thread
                    """)
                {
                    found[try row.integer(0), default: [:]][try row.text(1)] = try row.integer(2)
                }
            }
        }
        return found
    }

    private static let columns: SQL =
        "SELECT r.room_nid, r.user_id, r.type, r.thread, r.event_id, r.event_position, r.ts FROM receipts r "

    private static func receipt(_ row: SQLRow) throws -> Receipt? {
        guard let user = try? UserID(row.text(1)), let event = try? EventID(row.text(4)) else { return nil }
        let thread = try row.text(3)
        return Receipt(
            roomNID: try row.integer(0), user: user, type: try row.text(2), thread: thread.isEmpty ? nil : thread,
            eventID: event, eventPosition: try row.integer(5), timestamp: try row.integer(6))
    }
}
