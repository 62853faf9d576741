public import SQLDatabase

extension EncryptionSchema {
    /// What the optional post-quantum key agreement needs. In `olm_account`, `hybrid_policy` is the user's choice,
    /// `hybrid_offered` whether the published device keys name the algorithm, `hybrid_offer_at` the time before which
    /// they are not published again, `hybrid_unproved` whether our identity's signature on them has yet to be seen;
    /// `hybrid_fixed` is the offer on which the server keeps the signature by the self-signing key `hybrid_fixed_by`. In `devices`, `hybrid_offer` is a ``HybridOffer``.
    public static func hybrid(_ dialect: Dialect) -> [SQL] {
        let bytes = dialect.bytesType
        return [
            "ALTER TABLE olm_account ADD COLUMN hybrid_policy TEXT",
            "ALTER TABLE olm_account ADD COLUMN hybrid_offered BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE olm_account ADD COLUMN hybrid_offer_at BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE olm_account ADD COLUMN hybrid_unproved BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE olm_account ADD COLUMN hybrid_fixed BIGINT",
            "ALTER TABLE olm_account ADD COLUMN hybrid_fixed_by TEXT",
            "ALTER TABLE olm_sessions ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'm.olm.v1.curve25519-aes-sha2'",
            "ALTER TABLE devices ADD COLUMN hybrid_offer BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE devices ADD COLUMN hybrid_claim_at BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE devices ADD COLUMN hybrid_claim_failures BIGINT NOT NULL DEFAULT 0",
            """
            CREATE TABLE encapsulation_keys (
                id BIGINT PRIMARY KEY CHECK (id = 1), pickle \(raw: bytes) NOT NULL, has_unpublished BIGINT NOT NULL,
                uploaded BIGINT NOT NULL, keys_on_server BIGINT, filled_at BIGINT NOT NULL, fallback_unused BIGINT NOT NULL,
                fallback_made_at BIGINT NOT NULL, fallback_replaced_at BIGINT, retry_at BIGINT NOT NULL,
                refusals BIGINT NOT NULL)
            """,
            """
            CREATE TABLE claimed_encapsulation_keys (
                user_id TEXT NOT NULL, device_id TEXT NOT NULL, key \(raw: bytes), claimed_at BIGINT NOT NULL,
                PRIMARY KEY (user_id, device_id))
            """,
        ]
    }
}
