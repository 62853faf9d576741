internal import SQLDatabase

/// Schema 15: which documents users agreed to, whom the directory finds by which word, and accounts that are looked for by
/// what they are.
enum V015Accounts {
    static func statements(_ d: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE policy_consents (
                user_id TEXT NOT NULL, policy TEXT NOT NULL, version TEXT NOT NULL, accepted_ts BIGINT NOT NULL,
                PRIMARY KEY (user_id, policy, version))
            """,
            "CREATE INDEX accounts_erased ON accounts (user_id) WHERE is_erased = 1",
            "CREATE INDEX accounts_guests ON accounts (user_id) WHERE is_guest = 1",
            // Of this server's users. A word is bytes, so that both engines compare it alike.
            """
            CREATE TABLE user_directory_words (
                word \(raw: d.bytesType) NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (word, user_id))
            """,
            "CREATE INDEX user_directory_words_of_user ON user_directory_words (user_id)",
            // How far accounts that were there before have been taken into the directory; no row: all.
            "CREATE TABLE user_directory_building (user_id TEXT PRIMARY KEY)",
            "INSERT INTO user_directory_building (user_id) VALUES ('')",
        ]
    }
}
