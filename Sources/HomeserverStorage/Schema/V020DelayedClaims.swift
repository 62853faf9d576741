internal import SQLDatabase

/// Schema 20: the delayed events that are being sent, which are few, are found without looking at those that wait.
enum V020DelayedClaims {
    static func statements(_ dialect: Dialect) -> [SQL] {
        ["CREATE INDEX delayed_events_claimed ON delayed_events (claimed_until) WHERE claimed_until > 0"]
    }
}
