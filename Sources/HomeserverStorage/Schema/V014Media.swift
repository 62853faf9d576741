internal import SQLDatabase

/// Schema 14: what is withheld, what may go, and previews of links.
enum V014Media {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // When it was quarantined, and by whom. A file that is not here may be, so that it is not fetched.
            "ALTER TABLE media ADD COLUMN quarantined BIGINT",
            "ALTER TABLE media ADD COLUMN quarantined_by TEXT",
            // When it goes by itself: pictures of previews.
            "ALTER TABLE media ADD COLUMN expires BIGINT",
            "CREATE INDEX media_by_uploader ON media (uploader, created) WHERE uploader IS NOT NULL",
            // Nobody's here: copies of other servers' files, and pictures of previews. They go when they are not used.
            "CREATE INDEX media_borrowed ON media (last_used) WHERE uploader IS NULL",
            "CREATE INDEX media_expiring ON media (expires) WHERE expires IS NOT NULL",
            "CREATE INDEX media_quarantined ON media (origin, media_id) WHERE quarantined IS NOT NULL",
            // Hashes whose last row may be gone: their bytes are removed after a while, unless a row has them again.
            "CREATE TABLE media_unused (content_hash TEXT PRIMARY KEY, since BIGINT NOT NULL)",
            "CREATE INDEX media_unused_by_age ON media_unused (since)",
            // Previews of links, sealed. address_hash: SHA-256 of the URL, for a URL is part of a message.
            """
            CREATE TABLE url_previews (
                address_hash TEXT NOT NULL, fetched BIGINT NOT NULL, body \(raw: dialect.bytesType) NOT NULL,
                PRIMARY KEY (address_hash, fetched))
            """,
            "CREATE INDEX url_previews_by_age ON url_previews (fetched)",
        ]
    }
}
