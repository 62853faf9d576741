public import MatrixModel
public import SQLDatabase

/// Which events relate to which.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events>
public struct RelationStore {
    /// The events of a thread, its root not counted.
    public struct Thread: Sendable, Equatable {
        public var count: Int
        /// `event_nid` of the last one.
        public var latest: Int64
        /// Whether the reader sent one of them.
        public var readerSent: Bool
    }

    /// Annotations of one event by one user among which a repeated one is looked for.
    static let annotationsCompared = 100
    /// How many references to an event are told.
    static let referencesTold = 100

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: Writing

    /// Notes the relation of an event with a place in the timeline; nil where it has none. State does not relate.
    static func noting(_ event: PDU, nid: Int64, room: Int64) -> SQL? {
        guard !event.isState, let relation = Relation(event.content) else { return nil }
        return """
            INSERT INTO event_relations (event_nid, room_nid, target, rel_type, type, sender)
            VALUES (\(nid), \(room), \(relation.target.text), \(StoredText.stored(relation.type)),
            \(StoredText.stored(event.type.text)), \(event.sender.text)) ON CONFLICT (event_nid) DO NOTHING
            """
    }

    /// Forgets what an event related to: it was redacted.
    static func forgetting(nid: Int64) -> SQL { "DELETE FROM event_relations WHERE event_nid = \(nid)" }

    /// Notes the relations of some events that were there before relations were kept, the newest first. Returns whether there
    /// may be more.
    public func indexOlder(_ sealer: StorageSealer, limit: Int) throws -> Bool {
        guard let below = try connection.query("SELECT below FROM relation_indexing").first?.integer(0) else {
            return false
        }
        let nids = try connection.query(
            "SELECT event_nid FROM events WHERE event_nid < \(below) ORDER BY event_nid DESC LIMIT \(limit)"
        ).map { try $0.integer(0) }
        let events = try EventLog(connection, sealer).events(nids: nids)
        try connection.executeAll(
            events.values.filter { $0.position != nil }.compactMap {
                Self.noting($0.pdu, nid: $0.nid, room: $0.roomNID)
            })
        guard nids.count == limit, let last = nids.last else {
            try connection.execute("DELETE FROM relation_indexing")
            return false
        }
        try connection.execute("UPDATE relation_indexing SET below = \(last)")
        return true
    }

    // MARK: What relates to an event

    /// The places of events that relate to one, cut at the end that comes last.
    /// - Parameters:
    ///   - depth: 1 for those that relate to it directly, more for those that relate to these, and so on.
    /// - Throws: `DatabaseError`.
    public func children(
        of target: EventID, room: Int64, relationType: String?, type: String?, after: Int64?, upTo: Int64?, limit: Int,
        newestFirst: Bool, depth: Int = 1
    ) throws -> [EventLog.Place] {
        var sql: SQL = """
            WITH RECURSIVE children (event_nid, rel_type, type, depth) AS (
                SELECT event_nid, rel_type, type, 1 FROM event_relations
                WHERE room_nid = \(room) AND target = \(target.text)
                UNION
                SELECT r.event_nid, r.rel_type, r.type, c.depth + 1 FROM children c
                JOIN events e ON e.event_nid = c.event_nid
                JOIN event_relations r ON r.room_nid = \(room) AND r.target = e.event_id
                WHERE c.depth < \(depth))
            SELECT DISTINCT e.position, e.event_nid FROM children c JOIN events e ON e.event_nid = c.event_nid
            WHERE e.position IS NOT NULL
            """
        if let relationType { sql += " AND c.rel_type = \(StoredText.stored(relationType))" }
        if let type { sql += " AND c.type = \(StoredText.stored(type))" }
        if let after { sql += " AND e.position > \(after)" }
        if let upTo { sql += " AND e.position <= \(upTo)" }
        sql += newestFirst ? " ORDER BY e.position DESC" : " ORDER BY e.position"
        sql += " LIMIT \(limit)"
        return try connection.query(sql).map { .init(position: try $0.integer(0), nid: try $0.integer(1)) }
    }

    /// Whether a user has annotated an event so before. What an annotation says is content, so it is read from the events.
    public func hasAnnotation(
        _ relation: Relation, type: EventType, by user: UserID, sealer: StorageSealer
    ) throws -> Bool {
        guard let key = relation.key else { return false }
        let nids = try connection.query(
            """
            SELECT r.event_nid FROM events t JOIN event_relations r ON r.room_nid = t.room_nid AND r.target = t.event_id
            WHERE t.event_id = \(relation.target.text) AND r.rel_type = \(Relation.annotation)
            AND r.type = \(StoredText.stored(type.text)) AND r.sender = \(user.text)
            ORDER BY r.event_nid DESC LIMIT \(Self.annotationsCompared)
            """
        ).map { try $0.integer(0) }
        guard !nids.isEmpty else { return false }
        return try EventLog(connection, sealer).events(nids: nids).values.contains { event in
            Relation(event.pdu.content)?.key.map { $0.utf8.elementsEqual(key.utf8) } ?? false
        }
    }

    /// Whether any event relates to another, by one of these types of relation, sent by one of these users.
    public func isRelated(
        to target: EventID, room: Int64, types: Set<String>?, senders: Set<String>?
    ) throws -> Bool {
        if types?.isEmpty == true || senders?.isEmpty == true { return false }
        var sql: SQL = "SELECT 1 FROM event_relations WHERE room_nid = \(room) AND target = \(target.text)"
        if let types { sql += " AND rel_type IN \(list: types.map(StoredText.stored).sorted())" }
        if let senders { sql += " AND sender IN \(list: senders.sorted())" }
        return try !connection.query(sql + " LIMIT 1").isEmpty
    }

    // MARK: Aggregations

    /// Those of some events, by `event_nid`, to which others relate.
    public func related(among nids: some Collection<Int64>) throws -> Set<Int64> {
        var found: Set<Int64> = []
        for chunk in Array(nids).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT e.event_nid FROM events e WHERE e.event_nid IN \(list: chunk) AND EXISTS (
                    SELECT 1 FROM event_relations r WHERE r.room_nid = e.room_nid AND r.target = e.event_id)
                """)
            {
                found.insert(try row.integer(0))
            }
        }
        return found
    }

    /// By which types of relation others relate to events: only for those to which any do.
    public func relationTypes(to targets: [EventID], room: Int64) throws -> [EventID: Set<String>] {
        var found: [EventID: Set<String>] = [:]
        for chunk in targets.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT DISTINCT target, rel_type FROM event_relations
                WHERE room_nid = \(room) AND target IN \(list: chunk.map(\.text))
                """)
            {
                if let id = try? EventID(row.text(0)) { found[id, default: []].insert(try row.text(1)) }
            }
        }
        return found
    }

    /// The newest edit of each event by its own sender, as `event_nid`.
    public func newestEdits(of targets: [EventID], room: Int64) throws -> [EventID: Int64] {
        guard !targets.isEmpty else { return [:] }
        let rows = try connection.query(
            """
            SELECT target, event_nid FROM (
                SELECT r.target, r.event_nid, ROW_NUMBER() OVER (
                    PARTITION BY r.target ORDER BY e.origin_server_ts DESC, e.event_id DESC) AS place
                FROM event_relations r JOIN events e ON e.event_nid = r.event_nid
                JOIN events t ON t.event_id = r.target
                WHERE r.room_nid = \(room) AND r.target IN \(list: targets.map(\.text))
                AND r.rel_type = \(Relation.replace) AND r.sender = t.sender AND r.type = t.type) newest
            WHERE place = 1
            """)
        var found: [EventID: Int64] = [:]
        for row in rows { if let target = try? EventID(row.text(0)) { found[target] = try row.integer(1) } }
        return found
    }

    /// The threads that begin at events, without what some users sent.
    public func threads(
        at roots: [EventID], room: Int64, reader: UserID, ignoring ignored: Set<String>
    ) throws -> [EventID: Thread] {
        guard !roots.isEmpty else { return [:] }
        var sql: SQL = """
            SELECT r.target, COUNT(*) AS size, MAX(e.position) AS latest,
            MAX(CASE WHEN r.sender = \(reader.text) THEN 1 ELSE 0 END) AS sent
            FROM event_relations r JOIN events e ON e.event_nid = r.event_nid
            WHERE r.room_nid = \(room) AND r.target IN \(list: roots.map(\.text))
            AND r.rel_type = \(Relation.thread) AND e.position IS NOT NULL
            """
        if !ignored.isEmpty { sql += " AND r.sender NOT IN \(list: ignored.sorted())" }
        sql += " GROUP BY r.target"
        let rows = try connection.query(
            "SELECT t.target, t.size, l.event_nid, t.sent FROM (" + sql
                + ") t JOIN events l ON l.room_nid = \(room) AND l.position = t.latest")
        var found: [EventID: Thread] = [:]
        for row in rows {
            guard let root = try? EventID(row.text(0)) else { continue }
            found[root] = Thread(count: try row.int(1), latest: try row.integer(2), readerSent: try row.bool(3))
        }
        return found
    }

    /// The events that refer to others by `m.reference`, oldest first, not all where there are many.
    public func references(to targets: [EventID], room: Int64, ignoring ignored: Set<String>) throws -> [EventID:
        [EventID]]
    {
        guard !targets.isEmpty else { return [:] }
        var sql: SQL = """
            SELECT r.target, e.event_id, ROW_NUMBER() OVER (PARTITION BY r.target ORDER BY e.position) AS place
            FROM event_relations r JOIN events e ON e.event_nid = r.event_nid
            WHERE r.room_nid = \(room) AND r.target IN \(list: targets.map(\.text))
            AND r.rel_type = \(Relation.reference) AND e.position IS NOT NULL
            """
        if !ignored.isEmpty { sql += " AND r.sender NOT IN \(list: ignored.sorted())" }
        let rows = try connection.query(
            "SELECT target, event_id FROM (" + sql
                + ") found WHERE place <= \(Self.referencesTold) ORDER BY target, place")
        var found: [EventID: [EventID]] = [:]
        for row in rows {
            if let target = try? EventID(row.text(0)), let id = try? EventID(row.text(1)) {
                found[target, default: []].append(id)
            }
        }
        return found
    }

    /// The roots of a room's threads whose last event is at or before a position, the one that went on last first.
    /// - Parameter participant: only threads that this user began or wrote in.
    public func threadRoots(
        room: Int64, upTo: Int64?, participant: UserID?, limit: Int
    ) throws -> [(root: EventID, latest: Int64)] {
        var sql: SQL = """
            SELECT r.target, MAX(e.position) AS latest
            FROM event_relations r JOIN events e ON e.event_nid = r.event_nid
            WHERE r.room_nid = \(room) AND r.rel_type = \(Relation.thread) AND e.position IS NOT NULL GROUP BY r.target
            """
        if let participant {
            sql += """
                 HAVING MAX(CASE WHEN r.sender = \(participant.text) THEN 1 ELSE 0 END) = 1 OR EXISTS (
                    SELECT 1 FROM events t WHERE t.event_id = r.target AND t.sender = \(participant.text))
                """
        }
        var outer: SQL = "SELECT target, latest FROM (" + sql + ") threads"
        if let upTo { outer += " WHERE latest <= \(upTo)" }
        outer += " ORDER BY latest DESC LIMIT \(limit)"
        var found: [(root: EventID, latest: Int64)] = []
        for row in try connection.query(outer) {
            if let root = try? EventID(row.text(0)) { found.append((root, try row.integer(1))) }
        }
        return found
    }
}
