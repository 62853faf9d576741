import Homeserver

/// Files and previews of links.
extension ConfigurationCatalogue {
    static var media: [ConfigurationKey] {
        [
            integer64("media.max_upload_bytes", \.media.maxUploadBytes, 1...(1 << 40), "One upload."),
            ConfigurationKey(
                "media.store", "local", "Where files lie: local (media/ in data_dir), or s3 (the keys below)."
            ) { c, s throws(Setting.Wrong) in
                // What it is made of is known when all keys are read.
                c.homeserver.media.s3 = try s.choice(["local", "s3"]) == "s3" ? .init() : nil
            },
            text("media.s3.endpoint", \.endpoint, "The store's URL, without the bucket."),
            text("media.s3.bucket", \.bucket, "The bucket, which must be there."),
            text("media.s3.region", \.region, "The store's region; us-east-1 where it has none."),
            text("media.s3.access_key_id", \.accessKeyID, "Who signs."),
            ConfigurationKey("media.s3.secret_access_key", nil, "With which secret.") { c, s throws(Setting.Wrong) in
                c.s3.secretAccessKey = Array(try s.string.utf8)
            },
            ConfigurationKey("media.s3.secret_access_key_file", nil, "The same, from a file.") {
                c, s throws(Setting.Wrong) in
                c.s3.secretAccessKey = Array(try Paths.secret(c.path(try s.string)).utf8)
            },
            ConfigurationKey(
                "media.s3.path_style", "false", "The bucket stands in the path, not in the name of the host."
            ) { c, s throws(Setting.Wrong) in c.s3.isPathStyle = try s.boolean },
            integer64(
                "media.remote_cache_bytes", \.media.remoteCacheBytes, 0...(1 << 50),
                "Copies of other servers' files and pictures of previews; those unused for longest go."),
            ConfigurationKey(
                "retention.media_days", nil,
                "Files that nobody has asked for in so many days go, copies and our users' own. None: they stay."
            ) { c, s throws(Setting.Wrong) in c.homeserver.media.retentionDays = try s.integer(in: 1...36_500) },
            flag(
                "url_previews.enabled", \.urlPreviews.isEnabled,
                "Previews of links: this server then fetches pages that its users name."),
            list("url_previews.deny", \.urlPreviews.deny, "Patterns of hosts that are never asked."),
        ]
    }

    /// A key of the store.
    private static func text(
        _ path: String, _ field: WritableKeyPath<HomeserverConfiguration.S3, String>, _ comment: String
    ) -> ConfigurationKey {
        let usual = HomeserverConfiguration.S3()[keyPath: field]
        return ConfigurationKey(path, usual.isEmpty ? nil : usual, comment) { c, s throws(Setting.Wrong) in
            c.s3[keyPath: field] = try s.string
        }
    }
}
