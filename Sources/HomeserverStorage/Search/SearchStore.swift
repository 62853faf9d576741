internal import MatrixModel
public import SQLDatabase

/// The words of messages, room names and topics, and which events are still to be looked at for them.
public struct SearchStore {
    /// The words of one event.
    public struct Entry: Sendable {
        public var nid: Int64
        var room: Int64
        var text: SearchableText
        var words: [String]

        /// Finds the words of a text.
        public init(nid: Int64, room: Int64, text: SearchableText) {
            (self.nid, self.room, self.text) = (nid, room, text)
            words = SearchWords.of(text.text)
        }
    }

    /// What is looked for, and where.
    public struct Query: Sendable {
        public var term: SearchTerm
        public var kinds: [SearchableText.Kind]
        /// By `room_nid`.
        public var rooms: [Int64]
        /// Nil for all.
        public var senders: [String]?
        public var notSenders: [String] = []
        public var isRecentFirst: Bool
        /// Only what comes after this one, where the most recent come first.
        public var after: Candidate?
        public var limit: Int

        /// Makes a query.
        public init(
            term: SearchTerm, kinds: [SearchableText.Kind], rooms: [Int64], isRecentFirst: Bool, limit: Int
        ) {
            (self.term, self.kinds, self.rooms) = (term, kinds, rooms)
            (self.isRecentFirst, self.limit) = (isRecentFirst, limit)
        }
    }

    /// An event that holds the words. Whether somebody may see it is another question.
    public struct Candidate: Sendable, Hashable {
        public var nid: Int64
        public var room: Int64
        public var position: Int64
        /// Milliseconds since 1970.
        public var timestamp: Int64
        /// The higher, the closer.
        public var rank: Double

        /// Makes a candidate, to go on behind it.
        public init(nid: Int64, room: Int64 = 0, position: Int64 = 0, timestamp: Int64, rank: Double = 0) {
            (self.nid, self.room, self.position) = (nid, room, position)
            (self.timestamp, self.rank) = (timestamp, rank)
        }
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: What is to be looked at

    /// Whether words are kept at all. Once they are, all events are looked at; once they are not, all words go.
    /// - Throws: `DatabaseError`.
    public func setKept(_ isOn: Bool) throws {
        let row = try connection.query("SELECT is_on FROM search_indexing WHERE id = 1").first
        guard try row?.bool(0) != isOn else { return }
        var statements: [SQL] = [
            """
            UPDATE search_indexing SET is_on = \(isOn),
            below = \(raw: isOn ? "(SELECT MAX(event_nid) + 1 FROM events)" : "NULL") WHERE id = 1
            """
        ]
        if !isOn { statements += ["DELETE FROM search_queue", "DELETE FROM search_text"] }
        try connection.executeAll(statements)
    }

    /// Whether an event's words, if any are kept, may change with this one.
    static func concerns(_ event: PDU) -> Bool { SearchableText.Kind(event) != nil }

    /// Has an event looked at soon.
    static func queueing(nid: Int64) -> SQL {
        "INSERT INTO search_queue (event_nid) SELECT \(nid) FROM search_indexing WHERE is_on = 1"
    }

    /// Has events looked at soon that are about to go.
    static func queueing(nids: [Int64]) -> SQL {
        """
        INSERT INTO search_queue (event_nid) SELECT e.event_nid FROM events e JOIN search_indexing i ON i.is_on = 1
        WHERE e.event_nid IN \(list: nids)
        """
    }

    /// Takes the words of a redacted event away, and has the event looked at that it was an edit of. To be done before its
    /// relation is forgotten.
    static func forgettingRedacted(nid: Int64) -> [SQL] {
        [
            """
            INSERT INTO search_queue (event_nid) SELECT t.event_nid FROM event_relations r
            JOIN events t ON t.event_id = r.target JOIN search_indexing i ON i.is_on = 1
            WHERE r.event_nid = \(nid) AND r.rel_type = \(Relation.replace)
            """,
            queueing(nid: nid),
        ]
    }

    /// The oldest events that are to be looked at, with the numbers under which they wait.
    /// - Throws: `DatabaseError`.
    public func queued(limit: Int) throws -> [(queueNID: Int64, eventNID: Int64)] {
        try connection.query(
            "SELECT queue_nid, event_nid FROM search_queue ORDER BY queue_nid LIMIT \(limit)"
        ).map { (try $0.integer(0), try $0.integer(1)) }
    }

    /// Some events from before words were kept, the newest first: those that may have words, and the number under which to go
    /// on. Nil where all were looked at.
    /// - Throws: `DatabaseError`.
    public func older(limit: Int) throws -> (nids: [Int64], below: Int64?)? {
        let row = try connection.query("SELECT below FROM search_indexing WHERE id = 1 AND is_on = 1").first
        guard let below = try row?.optionalInteger(0) else { return nil }
        let rows = try connection.query(
            """
            SELECT event_nid, type, position FROM events WHERE event_nid < \(below)
            ORDER BY event_nid DESC LIMIT \(limit)
            """)
        let types = Set(SearchableText.Kind.allCases.map(\.type.text))
        let nids = try rows.filter { try types.contains($0.text(1)) && !$0.isNull(2) }.map { try $0.integer(0) }
        return (nids, rows.count == limit ? try rows.last?.integer(0) : nil)
    }

    /// Notes how far older events were looked at.
    /// - Throws: `DatabaseError`.
    public func setOlder(below: Int64?) throws {
        try connection.execute("UPDATE search_indexing SET below = \(below) WHERE id = 1")
    }

    /// Takes events off the list of those to be looked at.
    /// - Throws: `DatabaseError`.
    public func unqueue(_ queueNIDs: [Int64]) throws {
        for chunk in queueNIDs.chunks(of: Limits.bindsPerStatement) {
            try connection.execute("DELETE FROM search_queue WHERE queue_nid IN \(list: chunk)")
        }
    }

    // MARK: Words

    /// Takes the words of events away.
    /// - Throws: `DatabaseError`.
    public func remove(_ nids: [Int64]) throws {
        let key = connection.dialect == .sqlite ? "rowid" : "event_nid"
        for chunk in nids.chunks(of: Limits.bindsPerStatement) {
            try connection.execute("DELETE FROM search_text WHERE \(raw: key) IN \(list: chunk)")
        }
    }

    /// Clears the index of words that were taken away, some pages at a time: SQLite only marks them first.
    /// - Parameter begins: whether this is the first step.
    /// - Returns: whether there may be more.
    /// - Throws: `DatabaseError`.
    public func clear(begins: Bool) throws -> Bool {
        guard connection.dialect == .sqlite else { return false }
        let changes: SQL = "SELECT total_changes()"
        let before = try connection.query(changes).first?.integer(0) ?? 0
        let pages = begins ? -Limits.pagesPerClearing : Limits.pagesPerClearing
        try connection.execute("INSERT INTO search_text (search_text, rank) VALUES ('merge', \(pages))")
        let after = try connection.query(changes).first?.integer(0) ?? 0
        return after - before > 1
    }

    /// Keeps the words of events that have none here.
    /// - Throws: `DatabaseError`.
    public func insert(_ entries: [Entry]) throws {
        let isSQLite = connection.dialect == .sqlite
        try connection.executeAll(
            entries.filter { !$0.words.isEmpty }.map { entry in
                let facets = [Self.facet(entry.room), entry.text.kind.facet]
                if isSQLite {
                    return """
                        INSERT INTO search_text (rowid, facets, words)
                        VALUES (\(entry.nid), \(facets.joined(separator: " ")), \(entry.words.joined(separator: " ")))
                        """
                }
                // Facets have a sign that is in no word, and no place, so that they count for no rank.
                var places: [String: [Int]] = [:]
                for (index, word) in entry.words.enumerated() { places[word, default: []].append(index + 1) }
                let words = places.map { word, places in
                    "'\(word)':" + places.prefix(Limits.placesPerWord).map(String.init).joined(separator: ",")
                }
                let text = (facets.map { "'=\($0)'" } + words.sorted()).joined(separator: " ")
                return """
                    INSERT INTO search_text (event_nid, words) VALUES (\(entry.nid), CAST(CAST(\(text) AS TEXT) AS TSVECTOR))
                    ON CONFLICT (event_nid) DO UPDATE SET words = excluded.words
                    """
            })
    }

    private static func facet(_ room: Int64) -> String { "r\(room)" }

    // MARK: Finding

    /// Events that hold the words, in the order asked for.
    /// - Throws: `DatabaseError`.
    public func find(_ query: Query) throws -> [Candidate] {
        guard !query.rooms.isEmpty, !query.kinds.isEmpty else { return [] }
        let hasRoomFacets = query.rooms.count <= Limits.roomFacets
        var facets: [[String]] = []
        if hasRoomFacets { facets.append(query.rooms.map(Self.facet)) }
        if query.kinds.count < SearchableText.Kind.allCases.count { facets.append(query.kinds.map(\.facet)) }
        var sql: SQL
        switch connection.dialect {
        case .sqlite:
            let match =
                (facets.map { list in
                    "facets : (" + list.map { "\"\($0)\"" }.joined(separator: " OR ") + ")"
                } + [query.term.fullTextExpression]).joined(separator: " AND ")
            sql = """
                SELECT e.event_nid, e.room_nid, e.position, e.origin_server_ts, -bm25(search_text, 0.0, 1.0) AS rank
                FROM search_text CROSS JOIN events e
                WHERE search_text MATCH \(match) AND e.event_nid = search_text.rowid
                """
        case .postgres:
            let words = query.term.textSearchQuery
            let match =
                (facets.map { list in "(" + list.map { "'=\($0)'" }.joined(separator: " | ") + ")" } + [words])
                .joined(separator: " & ")
            sql = """
                SELECT e.event_nid, e.room_nid, e.position, e.origin_server_ts,
                CAST(ts_rank(s.words, CAST(CAST(\(words) AS TEXT) AS TSQUERY), 1) AS DOUBLE PRECISION) AS rank
                FROM search_text s JOIN events e ON e.event_nid = s.event_nid
                WHERE s.words @@ CAST(CAST(\(match) AS TEXT) AS TSQUERY)
                """
        }
        sql += " AND e.position IS NOT NULL AND e.redacted_by IS NULL"
        if !hasRoomFacets { sql += " AND e.room_nid IN \(list: query.rooms)" }
        if let senders = query.senders { sql += " AND e.sender IN \(list: senders)" }
        if !query.notSenders.isEmpty { sql += " AND e.sender NOT IN \(list: query.notSenders)" }
        if query.isRecentFirst {
            if let after = query.after {
                sql += """
                     AND (e.origin_server_ts < \(after.timestamp)
                    OR (e.origin_server_ts = \(after.timestamp) AND e.event_nid < \(after.nid)))
                    """
            }
            sql += " ORDER BY e.origin_server_ts DESC, e.event_nid DESC"
        } else {
            sql += " ORDER BY rank DESC, e.event_nid DESC"
        }
        sql += " LIMIT \(query.limit)"
        return try connection.query(sql).map {
            Candidate(
                nid: try $0.integer(0), room: try $0.integer(1), position: try $0.integer(2),
                timestamp: try $0.integer(3), rank: try $0.double(4))
        }
    }
}
