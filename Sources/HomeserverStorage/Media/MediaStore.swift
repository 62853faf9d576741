public import MatrixModel
public import SQLDatabase

/// The index of media; their bytes lie elsewhere, under their hash.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#content-repository>
public struct MediaStore {
    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    static let columns: SQL = """
        origin, media_id, content_type, file_name, length, content_hash, uploader, created, last_used, quarantined,
        expires
        """

    static func record(_ row: SQLRow) throws -> MediaRecord? {
        guard let origin = try? ServerName(try row.text(0)) else { return nil }
        return MediaRecord(
            origin: origin, mediaID: try row.text(1), contentType: try row.optionalText(2),
            fileName: try row.optionalText(3), length: try row.optionalInteger(4),
            contentHash: try row.optionalText(5), uploader: try row.optionalText(6), created: try row.integer(7),
            lastUsed: try row.integer(8), quarantined: try row.optionalInteger(9), expires: try row.optionalInteger(10))
    }

    public func record(_ origin: ServerName, _ mediaID: String) throws -> MediaRecord? {
        let found = try connection.query(
            "SELECT " + Self.columns + " FROM media WHERE origin = \(origin.text) AND media_id = \(mediaID)")
        return try found.first.flatMap { try Self.record($0) }
    }

    /// Adds a file, or replaces what was known of it. Bytes that are quarantined under another name are so under this one.
    public func save(_ record: MediaRecord) throws {
        let withheld = try record.quarantined ?? quarantine(of: record.contentHash)
        try connection.execute(
            """
            INSERT INTO media
                (origin, media_id, content_type, file_name, length, content_hash, uploader, created, last_used,
                quarantined, expires)
            VALUES (\(record.origin.text), \(record.mediaID), \(record.contentType), \(record.fileName),
                \(record.length), \(record.contentHash), \(record.uploader), \(record.created), \(record.lastUsed),
                \(withheld), \(record.expires))
            ON CONFLICT (origin, media_id) DO UPDATE SET
                content_type = excluded.content_type, file_name = excluded.file_name, length = excluded.length,
                content_hash = excluded.content_hash, last_used = excluded.last_used, expires = excluded.expires,
                quarantined = COALESCE(media.quarantined, excluded.quarantined)
            """)
    }

    /// Notes that the bytes of a file that was announced have arrived. `false` when it is not there, or had bytes already.
    public func complete(_ record: MediaRecord) throws -> Bool {
        let withheld = try quarantine(of: record.contentHash)
        return try connection.execute(
            """
            UPDATE media SET content_type = \(record.contentType), file_name = \(record.fileName),
                length = \(record.length), content_hash = \(record.contentHash), last_used = \(record.lastUsed),
                quarantined = \(withheld)
            WHERE origin = \(record.origin.text) AND media_id = \(record.mediaID) AND content_hash IS NULL
                AND quarantined IS NULL
            """) == 1
    }

    /// Since when bytes are quarantined, under whatever name.
    private func quarantine(of hash: String?) throws -> Int64? {
        guard let hash else { return nil }
        return try connection.query(
            "SELECT quarantined FROM media WHERE content_hash = \(hash) AND quarantined IS NOT NULL LIMIT 1"
        ).first?.optionalInteger(0)
    }

    /// How many files a user has announced since a time and not sent.
    public func pendingCount(of uploader: String, origin: ServerName, since: Int64) throws -> Int {
        try connection.query(
            """
            SELECT COUNT(*) FROM media WHERE origin = \(origin.text) AND uploader = \(uploader)
                AND content_hash IS NULL AND created >= \(since)
            """
        ).first.map { try $0.int(0) } ?? 0
    }

    public func touch(_ origin: ServerName, _ mediaID: String, now: Int64) throws {
        try connection.execute(
            "UPDATE media SET last_used = \(now) WHERE origin = \(origin.text) AND media_id = \(mediaID)")
    }

    /// Drops files that were announced before a time and never sent.
    public func deletePending(before time: Int64) throws -> Int {
        try connection.execute(
            "DELETE FROM media WHERE content_hash IS NULL AND quarantined IS NULL AND created < \(time)")
    }
}
