internal import SQLDatabase

/// Accounts, devices, tokens, profiles, account data and filters. Users and devices are named by their text.
enum V001Accounts {
    static func statements(_ d: Dialect) -> [SQL] {
        accounts(d) + authentication(d) + belongings(d)
    }

    private static func accounts(_ d: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE accounts (
                user_id TEXT PRIMARY KEY, password_hash TEXT, created_ts BIGINT NOT NULL,
                is_admin SMALLINT NOT NULL DEFAULT 0, is_guest SMALLINT NOT NULL DEFAULT 0,
                is_deactivated SMALLINT NOT NULL DEFAULT 0, is_locked SMALLINT NOT NULL DEFAULT 0,
                is_suspended SMALLINT NOT NULL DEFAULT 0, is_erased SMALLINT NOT NULL DEFAULT 0,
                user_type TEXT, application_service TEXT)
            """,
            """
            CREATE TABLE devices (
                user_id TEXT NOT NULL, device_id TEXT NOT NULL, display_name TEXT, created_ts BIGINT NOT NULL,
                last_seen_ts BIGINT, last_seen_ip TEXT, hidden SMALLINT NOT NULL DEFAULT 0,
                PRIMARY KEY (user_id, device_id))
            """,
            // A row is a pair of an access token and, for clients that asked, a refresh token. A pair that was got by
            // refreshing names in `replaces` the one that dies when it is first used.
            """
            CREATE TABLE access_tokens (
                token_id \(raw: d.generatedKey), access_hash \(raw: d.bytesType) NOT NULL UNIQUE,
                refresh_hash \(raw: d.bytesType) UNIQUE, user_id TEXT NOT NULL, device_id TEXT NOT NULL,
                created_ts BIGINT NOT NULL, expires_ts BIGINT, replaces BIGINT)
            """,
            "CREATE INDEX access_tokens_of_device ON access_tokens (user_id, device_id)",
            "CREATE INDEX access_tokens_replaces ON access_tokens (replaces) WHERE replaces IS NOT NULL",
        ]
    }

    private static func authentication(_ d: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE uia_sessions (
                session_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, operation \(raw: d.bytesType) NOT NULL,
                completed TEXT NOT NULL, registration_token TEXT, expires_ts BIGINT NOT NULL)
            """,
            "CREATE INDEX uia_sessions_by_age ON uia_sessions (expires_ts)",
            """
            CREATE TABLE login_tokens (
                token_hash \(raw: d.bytesType) PRIMARY KEY, user_id TEXT NOT NULL, expires_ts BIGINT NOT NULL)
            """,
            "CREATE INDEX login_tokens_of_user ON login_tokens (user_id)",
            """
            CREATE TABLE openid_tokens (
                token_hash \(raw: d.bytesType) PRIMARY KEY, user_id TEXT NOT NULL, expires_ts BIGINT NOT NULL)
            """,
            "CREATE INDEX openid_tokens_of_user ON openid_tokens (user_id)",
            """
            CREATE TABLE registration_tokens (
                token TEXT PRIMARY KEY, uses_allowed BIGINT, completed BIGINT NOT NULL DEFAULT 0,
                created_ts BIGINT NOT NULL, expires_ts BIGINT)
            """,
            "CREATE TABLE registration_nonces (nonce TEXT PRIMARY KEY, expires_ts BIGINT NOT NULL)",
            // A token bucket for each account and address that failed to log in; `spent` in thousandths.
            """
            CREATE TABLE login_attempts (
                subject TEXT PRIMARY KEY, spent BIGINT NOT NULL, at_ts BIGINT NOT NULL)
            """,
            "CREATE INDEX login_attempts_by_age ON login_attempts (at_ts)",
        ]
    }

    private static func belongings(_ d: Dialect) -> [SQL] {
        [
            // `value` is JSON; `search` is the lowercased display name.
            """
            CREATE TABLE profiles (
                user_id TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, search TEXT,
                PRIMARY KEY (user_id, field))
            """,
            // Global data has the empty room.
            """
            CREATE TABLE account_data (
                user_id TEXT NOT NULL, room_id TEXT NOT NULL, type TEXT NOT NULL, position BIGINT NOT NULL,
                content \(raw: d.bytesType) NOT NULL, PRIMARY KEY (user_id, room_id, type))
            """,
            "CREATE INDEX account_data_by_position ON account_data (user_id, position)",
            """
            CREATE TABLE filters (
                user_id TEXT NOT NULL, filter_id BIGINT NOT NULL, hash \(raw: d.bytesType) NOT NULL,
                content \(raw: d.bytesType) NOT NULL, PRIMARY KEY (user_id, filter_id), UNIQUE (user_id, hash))
            """,
        ]
    }
}
