public import MatrixModel
internal import SQLDatabase

/// An event's row as it is, for those who check it: nothing of it is taken for granted.
public struct EventRow: Sendable {
    public var nid: Int64
    public var eventID: String
    public var type: String
    public var stateKey: String?
    public var sender: String
    public var depth: Int64
    public var originServerTimestamp: Int64
    public var position: Int64?
    public var flags: EventFlags
    /// The bytes of the column, whether they name a state or not.
    public var stateAfter: [UInt8]?
    public var replaces: Int64?
    public var redactedBy: String?
    /// What the column holds, opened; nil when it cannot be.
    public var body: [UInt8]?
    /// The column `room_members` and others name the event by.
    public var authNIDs: Set<Int64> = []
}

extension EventLog {
    /// A room's rows by number, as they are, with their auth edges.
    /// - Throws: `DatabaseError`.
    public func rows(room: Int64, after nid: Int64, limit: Int) throws -> [EventRow] {
        var rows = try connection.query(
            """
            SELECT event_nid, event_id, type, state_key, sender, depth, origin_server_ts, position, flags, state_after,
            replaces, redacted_by, body FROM events WHERE room_nid = \(room) AND event_nid > \(nid)
            ORDER BY event_nid LIMIT \(limit)
            """
        ).map { row in
            let eventID = try row.text(1)
            return EventRow(
                nid: try row.integer(0), eventID: eventID, type: StoredText.original(try row.text(2)),
                stateKey: try row.optionalText(3).map(StoredText.original), sender: try row.text(4),
                depth: try row.integer(5), originServerTimestamp: try row.integer(6),
                position: try row.optionalInteger(7), flags: EventFlags(rawValue: try row.integer(8)),
                stateAfter: try row.optionalBytes(9), replaces: try row.optionalInteger(10),
                redactedBy: try row.optionalText(11),
                body: try? sealer.open(row.bytes(12), context: "event:" + eventID))
        }
        let edges = try authEdges(of: rows.map(\.nid))
        for index in rows.indices { rows[index].authNIDs = Set(edges[rows[index].nid] ?? []) }
        return rows
    }

    /// The ids of a room's events, with their numbers.
    /// - Throws: `DatabaseError`.
    public func numbers(room: Int64) throws -> [EventID: Int64] {
        var found: [EventID: Int64] = [:]
        for row in try connection.query("SELECT event_id, event_nid FROM events WHERE room_nid = \(room)") {
            if let id = try? EventID(row.text(0)) { found[id] = try row.integer(1) }
        }
        return found
    }

    /// The numbers of a room's newest events by depth, without those that are known only as part of a state.
    /// - Throws: `DatabaseError`.
    public func newest(room: Int64, limit: Int) throws -> [Int64] {
        try connection.query(
            """
            SELECT event_nid FROM events WHERE room_nid = \(room) AND (flags & \(EventFlags.outlier.rawValue)) = 0
            ORDER BY depth DESC, event_nid DESC LIMIT \(limit)
            """
        ).map { try $0.integer(0) }
    }
}
