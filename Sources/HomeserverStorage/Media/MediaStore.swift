public import MatrixModel
public import SQLDatabase

/// What is known of a file: whose it is and under which hash its bytes lie.
public struct MediaRecord: Sendable, Equatable {
    public var origin: ServerName
    public var mediaID: String
    /// As the uploader or the other server named it; not trusted.
    public var contentType: String?
    public var fileName: String?
    /// Bytes. `nil` until they have arrived, as is `contentHash`.
    public var length: Int64?
    /// SHA-256 of the bytes, in lower-case hexadecimal.
    public var contentHash: String?
    /// The user's id; `nil` for another server's file.
    public var uploader: String?
    /// Milliseconds since 1970.
    public var created: Int64
    public var lastUsed: Int64

    public init(
        origin: ServerName, mediaID: String, contentType: String? = nil, fileName: String? = nil, length: Int64? = nil,
        contentHash: String? = nil, uploader: String? = nil, created: Int64, lastUsed: Int64
    ) {
        self.origin = origin
        self.mediaID = mediaID
        self.contentType = contentType
        self.fileName = fileName
        self.length = length
        self.contentHash = contentHash
        self.uploader = uploader
        self.created = created
        self.lastUsed = lastUsed
    }
}

/// The index of media; their bytes lie in files.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#content-repository>
public struct MediaStore {
    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    public func record(_ origin: ServerName, _ mediaID: String) throws -> MediaRecord? {
        try connection.query(
            """
            SELECT content_type, file_name, length, content_hash, uploader, created, last_used
            FROM media WHERE origin = \(origin.text) AND media_id = \(mediaID)
            """
        ).first.map { row in
            MediaRecord(
                origin: origin, mediaID: mediaID, contentType: try row.optionalText(0),
                fileName: try row.optionalText(1), length: try row.optionalInteger(2),
                contentHash: try row.optionalText(3), uploader: try row.optionalText(4), created: try row.integer(5),
                lastUsed: try row.integer(6))
        }
    }

    /// Adds a file, or replaces what was known of it.
    public func save(_ record: MediaRecord) throws {
        try connection.execute(
            """
            INSERT INTO media
                (origin, media_id, content_type, file_name, length, content_hash, uploader, created, last_used)
            VALUES (\(record.origin.text), \(record.mediaID), \(record.contentType), \(record.fileName),
                \(record.length), \(record.contentHash), \(record.uploader), \(record.created), \(record.lastUsed))
            ON CONFLICT (origin, media_id) DO UPDATE SET
                content_type = excluded.content_type, file_name = excluded.file_name, length = excluded.length,
                content_hash = excluded.content_hash, last_used = excluded.last_used
            """)
    }

    /// Notes that the bytes of a file that was announced have arrived. `false` when it is not there, or had bytes already.
    public func complete(_ record: MediaRecord) throws -> Bool {
        try connection.execute(
            """
            UPDATE media SET content_type = \(record.contentType), file_name = \(record.fileName),
                length = \(record.length), content_hash = \(record.contentHash), last_used = \(record.lastUsed)
            WHERE origin = \(record.origin.text) AND media_id = \(record.mediaID) AND content_hash IS NULL
            """) == 1
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
        try connection.execute("DELETE FROM media WHERE content_hash IS NULL AND created < \(time)")
    }
}
