public import MatrixModel
internal import SQLDatabase

/// What ends the life of files.
extension MediaStore {
    /// Deletes a file. Its bytes go later, if nothing else has them. Whether it was there.
    public func delete(_ origin: ServerName, _ mediaID: String, now: Int64) throws -> Bool {
        try delete("origin = \(origin.text) AND media_id = \(mediaID)", limit: 1, now: now) > 0
    }

    /// Deletes up to `limit` copies of other servers' files that nobody has asked for since a time.
    public func deleteCopies(of own: ServerName, unusedSince time: Int64, limit: Int, now: Int64) throws -> Int {
        try delete(
            "uploader IS NULL AND last_used < \(time) AND origin <> \(own.text) AND quarantined IS NULL", limit: limit,
            now: now)
    }

    /// Deletes up to `limit` of our users' files that nobody has asked for since a time. Pictures of profiles stay.
    public func deleteOwn(_ own: ServerName, unusedSince time: Int64, limit: Int, now: Int64) throws -> Int {
        try delete(
            """
            origin = \(own.text) AND uploader IS NOT NULL AND content_hash IS NOT NULL AND last_used < \(time)
                AND quarantined IS NULL
                AND NOT EXISTS (SELECT 1 FROM profiles p WHERE p.user_id = media.uploader AND p.field = 'avatar_url'
                    AND p.value = '"mxc://' || media.origin || '/' || media.media_id || '"')
            """, limit: limit, now: now)
    }

    /// Deletes up to `limit` files whose time is over.
    public func deleteExpired(limit: Int, now: Int64) throws -> Int {
        try delete("expires IS NOT NULL AND expires < \(now)", limit: limit, now: now)
    }

    /// How many bytes what is nobody's here has: copies of other servers' files and pictures of previews.
    public func borrowedBytes() throws -> Int64 {
        try connection.query(
            "SELECT CAST(COALESCE(SUM(length), 0) AS BIGINT) FROM media WHERE uploader IS NULL"
        ).first?.integer(0) ?? 0
    }

    /// Deletes up to `limit` of these, those not asked for the longest first, until `bytes` are gone. How many there were.
    public func deleteBorrowed(bytes: Int64, limit: Int, now: Int64) throws -> (count: Int, bytes: Int64) {
        let rows = try connection.query(
            """
            SELECT origin, media_id, length FROM media
            WHERE uploader IS NULL AND content_hash IS NOT NULL AND quarantined IS NULL
            ORDER BY last_used LIMIT \(limit)
            """)
        var freed: Int64 = 0
        var count = 0
        for row in rows where freed < bytes {
            let (origin, mediaID) = (try row.text(0), try row.text(1))
            count += try delete("origin = \(origin) AND media_id = \(mediaID)", limit: 1, now: now)
            freed += try row.optionalInteger(2) ?? 0
        }
        return (count, freed)
    }

    /// Deletes what a condition finds and notes the hashes that may be nobody's now.
    private func delete(_ condition: SQL, limit: Int, now: Int64) throws -> Int {
        let rows = try connection.query(
            "SELECT origin, media_id, content_hash FROM media WHERE " + condition + " LIMIT \(limit)")
        for row in rows {
            let (origin, mediaID) = (try row.text(0), try row.text(1))
            try connection.execute("DELETE FROM media WHERE origin = \(origin) AND media_id = \(mediaID)")
            guard let hash = try row.optionalText(2) else { continue }
            try connection.execute(
                """
                INSERT INTO media_unused (content_hash, since) VALUES (\(hash), \(now))
                ON CONFLICT (content_hash) DO UPDATE SET since = excluded.since
                """)
        }
        return rows.count
    }

    // MARK: Bytes

    /// Up to `limit` hashes whose last row may have gone before a time, the oldest first.
    public func unusedHashes(before time: Int64, limit: Int) throws -> [String] {
        try connection.query(
            "SELECT content_hash FROM media_unused WHERE since < \(time) ORDER BY since LIMIT \(limit)"
        ).map { try $0.text(0) }
    }

    /// Which of some hashes a file has.
    public func used(among hashes: [String]) throws -> Set<String> {
        guard !hashes.isEmpty else { return [] }
        return Set(
            try connection.query("SELECT DISTINCT content_hash FROM media WHERE content_hash IN \(list: hashes)")
                .map { try $0.text(0) })
    }

    /// Forgets that hashes may be nobody's.
    public func settleUnused(_ hashes: [String]) throws {
        guard !hashes.isEmpty else { return }
        try connection.execute("DELETE FROM media_unused WHERE content_hash IN \(list: hashes)")
    }
}
