internal import SQLDatabase

/// Schema 1, what end-to-end encryption and media keep: device and one-time keys, cross-signing, to-device messages, files.
enum V001Devices {
    static func statements(_ dialect: Dialect) -> [SQL] {
        let bytes = dialect.bytesType
        let key = dialect.generatedKey
        return [
            // The device keys object as the device signed it; signatures by others are in key_signatures.
            SQL(
                raw: """
                    CREATE TABLE device_keys (
                        user_id TEXT NOT NULL, device_id TEXT NOT NULL, body \(bytes) NOT NULL,
                        PRIMARY KEY (user_id, device_id))
                    """),
            // Given out in the order of otk_nid, each once. claimed: 1 when given out; kept a while to know a repeated upload.
            SQL(
                raw: """
                    CREATE TABLE one_time_keys (
                        otk_nid \(key), user_id TEXT NOT NULL, device_id TEXT NOT NULL, algorithm TEXT NOT NULL,
                        key_id TEXT NOT NULL, body \(bytes) NOT NULL, claimed BIGINT NOT NULL DEFAULT 0,
                        UNIQUE (user_id, device_id, algorithm, key_id))
                    """),
            SQL(
                raw: """
                    CREATE TABLE fallback_keys (
                        user_id TEXT NOT NULL, device_id TEXT NOT NULL, algorithm TEXT NOT NULL, key_id TEXT NOT NULL,
                        body \(bytes) NOT NULL, used BIGINT NOT NULL DEFAULT 0,
                        PRIMARY KEY (user_id, device_id, algorithm))
                    """),
            // usage: master, self_signing or user_signing.
            SQL(
                raw: """
                    CREATE TABLE cross_signing_keys (
                        user_id TEXT NOT NULL, usage TEXT NOT NULL, key_id TEXT NOT NULL, body \(bytes) NOT NULL,
                        PRIMARY KEY (user_id, usage))
                    """),
            // target: a device id, or a master key's public key.
            SQL(
                raw: """
                    CREATE TABLE key_signatures (
                        target_user TEXT NOT NULL, target TEXT NOT NULL, signer TEXT NOT NULL, signer_key TEXT NOT NULL,
                        signature TEXT NOT NULL, PRIMARY KEY (target_user, target, signer, signer_key))
                    """),
            // The newest change of each user's devices or cross-signing keys. reader: who alone sees it; empty for everybody.
            SQL(
                raw: """
                    CREATE TABLE device_list_changes (
                        user_id TEXT NOT NULL, reader TEXT NOT NULL DEFAULT '', position BIGINT NOT NULL,
                        previous BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (user_id, reader))
                    """),
            SQL(raw: "CREATE INDEX device_list_changes_by_position ON device_list_changes (position)"),
            // What is known of remote users' devices. A stale one is asked for again. as_of: a position of the stream events.
            SQL(
                raw: """
                    CREATE TABLE remote_device_lists (
                        user_id TEXT PRIMARY KEY, stream_id BIGINT NOT NULL, stale BIGINT NOT NULL, as_of BIGINT NOT NULL)
                    """),
            SQL(
                raw: """
                    CREATE TABLE remote_devices (
                        user_id TEXT NOT NULL, device_id TEXT NOT NULL, body \(bytes), display_name TEXT,
                        PRIMARY KEY (user_id, device_id))
                    """),
            SQL(
                raw: """
                    CREATE TABLE to_device_messages (
                        user_id TEXT NOT NULL, device_id TEXT NOT NULL, position BIGINT NOT NULL, body \(bytes) NOT NULL,
                        PRIMARY KEY (user_id, device_id, position))
                    """),
            // Messages that other servers sent, so that a repeat is known.
            SQL(
                raw: """
                    CREATE TABLE to_device_received (
                        origin TEXT NOT NULL, message_id TEXT NOT NULL, received BIGINT NOT NULL,
                        PRIMARY KEY (origin, message_id))
                    """),
            SQL(raw: "CREATE INDEX to_device_received_by_age ON to_device_received (received)"),
            // Files. content_hash names the file; NULL until the bytes have arrived.
            SQL(
                raw: """
                    CREATE TABLE media (
                        origin TEXT NOT NULL, media_id TEXT NOT NULL, content_type TEXT, file_name TEXT,
                        length BIGINT, content_hash TEXT, uploader TEXT, created BIGINT NOT NULL,
                        last_used BIGINT NOT NULL, PRIMARY KEY (origin, media_id))
                    """),
            SQL(raw: "CREATE INDEX media_by_hash ON media (content_hash)"),
        ]
    }
}
