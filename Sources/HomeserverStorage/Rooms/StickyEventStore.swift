public import MatrixModel
public import SQLDatabase

/// Events that are sticky now: told to everybody who is in their rooms, also to who comes later (MSC4354).
public struct StickyEventStore {
    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Notes an event with a place in a timeline; nil where it is not sticky, or no longer.
    /// - Parameter now: milliseconds since 1970.
    static func noting(_ event: PDU, nid: Int64, room: Int64, now: Int64) -> SQL? {
        guard let expires = StickyEvent.expiry(of: event, now: now), expires > now else { return nil }
        return """
            INSERT INTO sticky_events (event_nid, room_nid, expires) VALUES (\(nid), \(room), \(expires))
            ON CONFLICT (event_nid) DO NOTHING
            """
    }

    /// Forgets an event: it was redacted.
    static func forgetting(nid: Int64) -> SQL { "DELETE FROM sticky_events WHERE event_nid = \(nid)" }

    /// Sends what users of ours said that is still sticky to a server that comes into the room with a member. To be done
    /// before the member is noted.
    static func resending(in room: Int64, to member: UserID, now: Int64) -> [SQL] {
        let server = member.serverName.text
        return [
            """
            INSERT INTO destinations (destination) SELECT \(server) WHERE EXISTS (
                SELECT 1 FROM sticky_events WHERE room_nid = \(room) AND expires > \(now))
            AND NOT EXISTS (SELECT 1 FROM accounts WHERE user_id = \(member.text))
            ON CONFLICT (destination) DO NOTHING
            """,
            """
            INSERT INTO outbox (destination, position, event_nid)
            SELECT d.destination, e.position, e.event_nid FROM sticky_events s
            JOIN events e ON e.event_nid = s.event_nid JOIN accounts a ON a.user_id = e.sender
            JOIN destinations d ON d.destination = \(server) AND d.catching_up = 0
            WHERE s.room_nid = \(room) AND s.expires > \(now) AND e.position IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM accounts WHERE user_id = \(member.text))
            AND NOT EXISTS (SELECT 1 FROM room_members m
                WHERE m.room_nid = \(room) AND m.server = \(server) AND m.membership = 'join')
            ON CONFLICT (destination, position) DO NOTHING
            """,
        ]
    }

    /// Those of some rooms that have events which are sticky now.
    /// - Parameter now: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func rooms(among rooms: some Collection<Int64>, now: Int64) throws -> Set<Int64> {
        var found: Set<Int64> = []
        for chunk in Array(rooms).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT DISTINCT room_nid FROM sticky_events WHERE room_nid IN \(list: chunk) AND expires > \(now)
                """)
            {
                found.insert(try row.integer(0))
            }
        }
        return found
    }

    /// The places of a room's events that are sticky now, the oldest first.
    /// - Parameters:
    ///   - after: only later places.
    ///   - now: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func places(room: Int64, after: Int64?, upTo: Int64, now: Int64, limit: Int) throws -> [EventLog.Place] {
        var sql: SQL = """
            SELECT e.position, e.event_nid FROM sticky_events s JOIN events e ON e.event_nid = s.event_nid
            WHERE s.room_nid = \(room) AND s.expires > \(now) AND e.position <= \(upTo)
            """
        if let after { sql += " AND e.position > \(after)" }
        sql += " ORDER BY e.position DESC LIMIT \(limit)"
        return try connection.query(sql).map {
            EventLog.Place(position: try $0.integer(0), nid: try $0.integer(1))
        }.reversed()
    }

    /// The places of events that are sticky now in the rooms a user is joined to, with their rooms; the oldest first, `limit`
    /// at most.
    /// - Parameters:
    ///   - after: only later places.
    ///   - now: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func places(
        of user: UserID, after: Int64, upTo: Int64, now: Int64, limit: Int
    ) throws -> [(room: RoomID, place: EventLog.Place)] {
        try connection.query(
            """
            SELECT r.room_id, e.position, e.event_nid FROM room_members m
            JOIN sticky_events s ON s.room_nid = m.room_nid JOIN events e ON e.event_nid = s.event_nid
            JOIN rooms r ON r.room_nid = m.room_nid
            WHERE m.user_id = \(user.text) AND m.membership = 'join' AND s.expires > \(now)
            AND e.position > \(after) AND e.position <= \(upTo) ORDER BY e.position LIMIT \(limit)
            """
        ).compactMap { row in
            guard let room = try? RoomID(row.text(0)) else { return nil }
            return (room, EventLog.Place(position: try row.integer(1), nid: try row.integer(2)))
        }
    }

    /// Forgets what is sticky no longer.
    /// - Parameter time: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func forget(before time: Int64) throws {
        try connection.execute("DELETE FROM sticky_events WHERE expires <= \(time)")
    }
}
