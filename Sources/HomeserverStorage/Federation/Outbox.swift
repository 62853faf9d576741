public import SQLDatabase

/// What waits to be sent to other servers. A row per PDU and destination while the destination keeps up; one that is
/// down or far behind has only its newest position per room, so a dead server costs a row a room and not one an event; and
/// rows for what it refused meanwhile.
public struct Outbox {
    /// A PDU on its way.
    public struct PendingPDU: Sendable {
        public var position: Int64
        public var eventNID: Int64

        /// A PDU by its place in the stream `events` and its number.
        public init(position: Int64, eventNID: Int64) {
            self.position = position
            self.eventNID = eventNID
        }
    }

    /// An EDU on its way: its JSON object.
    public struct PendingEDU: Sendable {
        public var nid: Int64
        public var body: [UInt8]
    }

    /// How a destination stands.
    public struct Destination: Sendable {
        public var failures: Int
        /// Milliseconds since 1970; not tried before.
        public var retryAt: Int64
        public var isCatchingUp: Bool
        public var sentPosition: Int64
        /// How often something was taken out of its way: it arrived, or was given up.
        public var deliveries: Int64
    }

    /// A destination to be served.
    public struct Due: Sendable, Hashable {
        public var name: String
        /// Whether the last attempt failed.
        public var isFailing: Bool
    }

    private static let destinationsPerRoundTrip = 64

    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: Writing

    /// Puts an event in the way of each destination; in the transaction that appends it.
    ///
    /// On PostgreSQL the destinations' rows are held until the commit, shared with other writers: whoever ends a
    /// destination's catching up waits, and then sees what was put in its way (`caughtUp`).
    public func enqueue(eventNID: Int64, position: Int64, roomNID: Int64, destinations: [String]) throws {
        // In one order everywhere, so that two writers cannot wait for each other.
        let sorted = destinations.sorted()
        for start in stride(from: 0, to: sorted.count, by: Self.destinationsPerRoundTrip) {
            let chunk = Array(sorted[start..<min(start + Self.destinationsPerRoundTrip, sorted.count)])
            let listed = chunk.chunks(of: Self.destinationsPerRoundTrip).first ?? chunk
            var statements: [SQL] = chunk.map {
                "INSERT INTO destinations (destination) VALUES (\($0)) ON CONFLICT (destination) DO NOTHING"
            }
            if connection.dialect == .postgres {
                statements.append(
                    """
                    SELECT 1 FROM destinations WHERE destination IN \(list: listed) ORDER BY destination FOR KEY SHARE
                    """)
            }
            statements += chunk.map {
                """
                INSERT INTO destination_rooms (destination, room_nid, position)
                VALUES (\($0), \(roomNID), \(position))
                ON CONFLICT (destination, room_nid) DO UPDATE SET position = excluded.position
                """
            }
            statements.append(
                """
                INSERT INTO outbox (destination, position, event_nid)
                SELECT destination, CAST(\(position) AS BIGINT), CAST(\(eventNID) AS BIGINT) FROM destinations
                WHERE destination IN \(list: listed) AND catching_up = 0
                """)
            _ = try connection.executeAll(statements)
        }
        try notify(destinations)
    }

    /// Puts events once more in the way of a destination, which may not have taken them in. One that is catching up is
    /// not sent them, unless it has got past them: it gets the newest of the room.
    /// - Throws: `DatabaseError`.
    public func enqueueAgain(_ events: [PendingPDU], roomNID: Int64, destination: String) throws {
        guard let newest = events.map(\.position).max() else { return }
        var statements: [SQL] = [
            "INSERT INTO destinations (destination) VALUES (\(destination)) ON CONFLICT (destination) DO NOTHING"
        ]
        if connection.dialect == .postgres {
            statements.append("SELECT 1 FROM destinations WHERE destination = \(destination) FOR KEY SHARE")
        }
        statements.append(
            """
            INSERT INTO destination_rooms (destination, room_nid, position)
            VALUES (\(destination), \(roomNID), \(newest))
            ON CONFLICT (destination, room_nid) DO UPDATE SET position = CASE
                WHEN destination_rooms.position > excluded.position THEN destination_rooms.position
                ELSE excluded.position END
            """)
        statements += events.map {
            """
            INSERT INTO outbox (destination, position, event_nid)
            SELECT destination, CAST(\($0.position) AS BIGINT), CAST(\($0.eventNID) AS BIGINT) FROM destinations
            WHERE destination = \(destination) AND (catching_up = 0 OR sent_position >= CAST(\($0.position) AS BIGINT))
            ON CONFLICT (destination, position) DO NOTHING
            """
        }
        _ = try connection.executeAll(statements)
        try notify([destination])
    }

    /// Wakes the senders. The hint names some; the rest are found by looking.
    private func notify(_ destinations: [String]) throws {
        guard !destinations.isEmpty else { return }
        try connection.notify("outbox " + destinations.prefix(25).joined(separator: " "))
    }

    /// Puts an EDU in the way of a destination. One with the same `dedupeKey` that still waits is replaced.
    public func enqueueEDU(
        _ body: [UInt8], to destination: String, dedupeKey: String?, now: Int64, sealer: StorageSealer
    ) throws {
        let sealed = try sealer.seal(body, context: Self.context(destination))
        _ = try connection.execute(
            "INSERT INTO destinations (destination) VALUES (\(destination)) ON CONFLICT (destination) DO NOTHING")
        if let dedupeKey {
            _ = try connection.execute(
                "DELETE FROM outbox_edus WHERE destination = \(destination) AND dedupe_key = \(dedupeKey)")
        }
        _ = try connection.execute(
            """
            INSERT INTO outbox_edus (destination, dedupe_key, body, created)
            VALUES (\(destination), \(dedupeKey), \(sealed), \(now))
            """)
        try notify([destination])
    }

    /// Drops the EDUs made before a time, milliseconds since 1970: messages to devices of a server that did not answer for so
    /// long have lost their use. Those of which the newest counts stay, a few for each of our users: they tell a server that
    /// comes back whose device lists it must ask for. Returns how many were dropped.
    @discardableResult
    public func dropEDUs(before time: Int64) throws -> Int {
        try connection.execute("DELETE FROM outbox_edus WHERE created < \(time) AND dedupe_key IS NULL")
    }

    // MARK: Sending

    /// Destinations for which something waits and whose time has come: those that answer before those that failed.
    /// - Parameter idle: destinations that are left out.
    public func due(now: Int64, limit: Int, without idle: [String] = []) throws -> [Due] {
        let others: SQL = idle.isEmpty ? "" : "AND d.destination NOT IN \(list: idle)"
        return try connection.query(
            """
            SELECT d.destination, d.failures FROM destinations d WHERE d.retry_at <= \(now) AND d.lease_until <= \(now)
            \(others) AND (
                d.catching_up = 1
                OR EXISTS (SELECT 1 FROM outbox o WHERE o.destination = d.destination)
                OR EXISTS (SELECT 1 FROM outbox_edus e WHERE e.destination = d.destination))
            ORDER BY CASE WHEN d.failures > 0 THEN 1 ELSE 0 END, d.retry_at, d.destination LIMIT \(limit)
            """
        ).map { Due(name: try $0.text(0), isFailing: try $0.integer(1) > 0) }
    }

    public func destination(_ name: String) throws -> Destination? {
        try connection.query(
            """
            SELECT failures, retry_at, catching_up, sent_position, deliveries FROM destinations
            WHERE destination = \(name)
            """
        ).first.map {
            Destination(
                failures: try $0.int(0), retryAt: try $0.integer(1), isCatchingUp: try $0.integer(2) != 0,
                sentPosition: try $0.integer(3), deliveries: try $0.integer(4))
        }
    }

    /// Takes or keeps the right to send to a destination. One node at a time, so that order holds.
    public func lease(_ destination: String, holder: String, now: Int64, until: Int64) throws -> Bool {
        // Where only EDUs that may be lost wait, there is no row yet.
        try connection.execute(
            "INSERT INTO destinations (destination) VALUES (\(destination)) ON CONFLICT (destination) DO NOTHING")
        return try connection.execute(
            """
            UPDATE destinations SET lease_holder = \(holder), lease_until = \(until)
            WHERE destination = \(destination) AND (lease_until <= \(now) OR lease_holder = \(holder))
            """) == 1
    }

    /// Keeps the right to send to destinations that are being sent to.
    public func renew(_ destinations: [String], holder: String, until: Int64) throws {
        guard !destinations.isEmpty else { return }
        _ = try connection.execute(
            """
            UPDATE destinations SET lease_until = \(until)
            WHERE destination IN \(list: destinations) AND lease_holder = \(holder) AND lease_until > 0
            """)
    }

    /// Takes every right to send away: for the only node, at its start.
    public func releaseAll() throws {
        _ = try connection.execute("UPDATE destinations SET lease_until = 0 WHERE lease_until > 0")
    }

    public func release(_ destination: String, holder: String) throws {
        _ = try connection.execute(
            """
            UPDATE destinations SET lease_until = 0 WHERE destination = \(destination) AND lease_holder = \(holder)
            """)
    }

    /// The oldest PDUs that wait.
    public func pendingPDUs(for destination: String, limit: Int) throws -> [PendingPDU] {
        try connection.query(
            """
            SELECT position, event_nid FROM outbox WHERE destination = \(destination) ORDER BY position LIMIT \(limit)
            """
        ).map { PendingPDU(position: try $0.integer(0), eventNID: try $0.integer(1)) }
    }

    /// The newest PDU that waits.
    /// - Throws: `DatabaseError`.
    public func newestPDU(for destination: String) throws -> PendingPDU? {
        try connection.query(
            """
            SELECT position, event_nid FROM outbox WHERE destination = \(destination) ORDER BY position DESC LIMIT 1
            """
        ).first.map { PendingPDU(position: try $0.integer(0), eventNID: try $0.integer(1)) }
    }

    /// The place of the newest event of a room that was put in a destination's way.
    public func newest(in room: Int64, for destination: String) throws -> Int64? {
        try connection.query(
            "SELECT position FROM destination_rooms WHERE destination = \(destination) AND room_nid = \(room)"
        ).first?.integer(0)
    }

    /// Whether something of a room is still to be sent to a destination: then its newest event is.
    /// - Throws: `DatabaseError`.
    public func waits(room: Int64, for destination: String) throws -> Bool {
        guard let newest = try newest(in: room, for: destination) else { return false }
        let rows = try connection.query(
            "SELECT 1 FROM outbox WHERE destination = \(destination) AND position = \(newest)")
        if !rows.isEmpty { return true }
        guard let state = try self.destination(destination) else { return false }
        return state.isCatchingUp && state.sentPosition < newest
    }

    /// The oldest EDUs that wait.
    public func pendingEDUs(for destination: String, limit: Int, sealer: StorageSealer) throws -> [PendingEDU] {
        try connection.query(
            """
            SELECT edu_nid, body FROM outbox_edus WHERE destination = \(destination) ORDER BY edu_nid LIMIT \(limit)
            """
        ).map {
            PendingEDU(nid: try $0.integer(0), body: try sealer.open($0.bytes(1), context: Self.context(destination)))
        }
    }

    /// An EDU that waits, if it still does.
    /// - Throws: `DatabaseError`, or what the sealer throws.
    public func pendingEDU(_ nid: Int64, for destination: String, sealer: StorageSealer) throws -> PendingEDU? {
        try connection.query(
            "SELECT body FROM outbox_edus WHERE edu_nid = \(nid) AND destination = \(destination)"
        ).first.map {
            PendingEDU(nid: nid, body: try sealer.open($0.bytes(0), context: Self.context(destination)))
        }
    }

    /// What the sealed EDUs of a destination are bound to.
    static func context(_ destination: String) -> String { "edu:" + destination }

    /// Whether nothing of a room is on its way any more, but to servers that do not answer.
    public func isSent(room: Int64) throws -> Bool {
        try connection.query(
            """
            SELECT 1 FROM outbox o JOIN events e ON e.event_nid = o.event_nid
            JOIN destinations d ON d.destination = o.destination
            WHERE e.room_nid = \(room) AND d.failures = 0 LIMIT 1
            """
        ).isEmpty
    }

    /// Takes what arrived out, and notes that the destination answers.
    /// - Parameter isInOrder: whether all before these PDUs was sent, or is kept: then one that catches up has got so far.
    public func delivered(
        _ destination: String, pdus: [PendingPDU], edus: [PendingEDU], isInOrder: Bool = true
    ) throws {
        if !pdus.isEmpty {
            _ = try connection.execute(
                """
                DELETE FROM outbox WHERE destination = \(destination) AND position IN \(list: pdus.map(\.position))
                """)
        }
        if !edus.isEmpty {
            _ = try connection.execute("DELETE FROM outbox_edus WHERE edu_nid IN \(list: edus.map(\.nid))")
        }
        let sent = isInOrder ? pdus.map(\.position).max() ?? 0 : 0
        _ = try connection.execute(
            """
            UPDATE destinations SET failures = 0, retry_at = 0, deliveries = deliveries + 1,
                sent_position = CASE WHEN sent_position > \(sent) THEN sent_position ELSE \(sent) END
            WHERE destination = \(destination)
            """)
    }

    /// Keeps what a destination that catches up refuses: it is not to be found among its rooms once others of them have been
    /// sent.
    /// - Throws: `DatabaseError`.
    public func keepRefused(_ destination: String, _ pdus: [PendingPDU]) throws {
        _ = try connection.executeAll(
            pdus.map {
                """
                INSERT INTO outbox (destination, position, event_nid)
                VALUES (\(destination), \($0.position), \($0.eventNID)) ON CONFLICT (destination, position) DO NOTHING
                """
            })
    }

    /// Takes the rooms of a destination that catches up for sent, as far as a place.
    /// - Throws: `DatabaseError`.
    public func passOver(_ destination: String, upTo position: Int64) throws {
        _ = try connection.execute(
            """
            UPDATE destinations SET sent_position = \(position)
            WHERE destination = \(destination) AND sent_position < \(position)
            """)
    }

    /// Notes a failure. A destination with more than `keep` PDUs waiting loses them and catches up later.
    public func failed(_ destination: String, retryAt: Int64, keep: Int, keepEDUs: Int) throws {
        _ = try connection.execute(
            """
            INSERT INTO destinations (destination, failures, retry_at) VALUES (\(destination), 1, \(retryAt))
            ON CONFLICT (destination) DO UPDATE SET failures = destinations.failures + 1, retry_at = excluded.retry_at
            """)
        let excess = try connection.query(
            "SELECT position FROM outbox WHERE destination = \(destination) ORDER BY position LIMIT 1 OFFSET \(keep)")
        if !excess.isEmpty {
            let first = try connection.query(
                "SELECT MIN(position) FROM outbox WHERE destination = \(destination)")
            let before = (try first.first?.optionalInteger(0) ?? 1) - 1
            _ = try connection.executeAll([
                "DELETE FROM outbox WHERE destination = \(destination)",
                """
                UPDATE destinations SET catching_up = 1, sent_position = \(before) WHERE destination = \(destination)
                """,
            ])
        }
        // The oldest EDUs above the bound go; those of which the newest counts have a bound of their own, for a device list
        // is asked for again only when something tells of a gap in its stream.
        for kind in ["IS NULL", "IS NOT NULL"] as [SQL] {
            _ = try connection.execute(
                """
                DELETE FROM outbox_edus WHERE destination = \(destination) AND dedupe_key \(kind)
                AND edu_nid <= COALESCE((
                    SELECT edu_nid FROM outbox_edus WHERE destination = \(destination) AND dedupe_key \(kind)
                    ORDER BY edu_nid DESC LIMIT 1 OFFSET \(keepEDUs)), 0)
                """)
        }
    }

    /// Ends catching up, if nothing is missing. Writers that put something in the destination's way meanwhile are waited
    /// for, and those after see that it keeps up again. Returns whether it ended.
    public func caughtUp(_ destination: String) throws -> Bool {
        // A statement of its own, so that the next sees what was committed while this one waited.
        _ = try connection.query(
            "SELECT 1 FROM destinations WHERE destination = \(destination) \(raw: connection.dialect.forUpdate)")
        return try connection.execute(
            """
            UPDATE destinations SET catching_up = 0 WHERE destination = \(destination) AND NOT EXISTS (
                SELECT 1 FROM destination_rooms r
                JOIN events e ON e.room_nid = r.room_nid AND e.position = r.position
                WHERE r.destination = destinations.destination AND r.position > destinations.sent_position)
            """) == 1
    }

    /// A server spoke to us: it is tried again at once.
    public func wake(_ destination: String) throws -> Bool {
        try connection.execute(
            """
            UPDATE destinations SET retry_at = 0 WHERE destination = \(destination) AND retry_at > 0
            """) == 1
    }
}
