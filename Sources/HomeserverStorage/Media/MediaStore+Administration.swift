public import MatrixModel
internal import SQLDatabase

/// What administrators do.
extension MediaStore {
    /// Which files a list shows.
    public struct Filter: Sendable {
        /// A user's id.
        public var uploader: String?
        public var origin: ServerName?
        public var isQuarantined = false

        public init() {}
    }

    /// Files in the order of their names, after one.
    public func list(_ filter: Filter, after: (origin: String, mediaID: String)?, limit: Int) throws -> [MediaRecord] {
        var sql: SQL = "SELECT " + Self.columns + " FROM media WHERE 1 = 1"
        if let uploader = filter.uploader { sql += " AND uploader = \(uploader)" }
        if let origin = filter.origin { sql += " AND origin = \(origin.text)" }
        if filter.isQuarantined { sql += " AND quarantined IS NOT NULL" }
        if let after { sql += " AND (origin, media_id) > (\(after.origin), \(after.mediaID))" }
        sql += " ORDER BY origin, media_id LIMIT \(limit)"
        return try connection.query(sql).compactMap { try Self.record($0) }
    }

    /// Withholds a file, and all others of the same bytes. One that is not here is withheld too, so that it is not fetched.
    /// How many were not withheld before.
    public func quarantine(_ origin: ServerName, _ mediaID: String, by: String?, now: Int64) throws -> Int {
        guard let record = try record(origin, mediaID) else {
            try connection.execute(
                """
                INSERT INTO media (origin, media_id, created, last_used, quarantined, quarantined_by)
                VALUES (\(origin.text), \(mediaID), \(now), \(now), \(now), \(by))
                """)
            return 1
        }
        guard let hash = record.contentHash else {
            return try mark("origin = \(origin.text) AND media_id = \(mediaID)", by: by, now: now)
        }
        return try mark("content_hash = \(hash)", by: by, now: now)
    }

    /// Withholds all that a user has uploaded, and all others of the same bytes. How many were not withheld before.
    public func quarantine(uploadsOf user: String, by: String?, now: Int64) throws -> Int {
        try mark(
            """
            (uploader = \(user)
                OR content_hash IN (SELECT m.content_hash FROM media m WHERE m.uploader = \(user)))
            """, by: by, now: now)
    }

    /// Gives a file, and all others of the same bytes, free again. How many were withheld.
    public func release(_ origin: ServerName, _ mediaID: String) throws -> Int {
        guard let record = try record(origin, mediaID), record.quarantined != nil else { return 0 }
        guard let hash = record.contentHash else {
            // Of nothing but the name: there is nothing to remember.
            return try connection.execute(
                record.uploader == nil
                    ? "DELETE FROM media WHERE origin = \(origin.text) AND media_id = \(mediaID)"
                    : """
                    UPDATE media SET quarantined = NULL, quarantined_by = NULL
                    WHERE origin = \(origin.text) AND media_id = \(mediaID)
                    """)
        }
        return try connection.execute(
            """
            UPDATE media SET quarantined = NULL, quarantined_by = NULL
            WHERE content_hash = \(hash) AND quarantined IS NOT NULL
            """)
    }

    private func mark(_ condition: SQL, by: String?, now: Int64) throws -> Int {
        try connection.execute(
            "UPDATE media SET quarantined = \(now), quarantined_by = \(by) WHERE quarantined IS NULL AND " + condition)
    }
}
