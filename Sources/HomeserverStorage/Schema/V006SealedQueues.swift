internal import SQLDatabase

/// Schema 6: what waits to be judged or sent is sealed like all other content. What waits now is marked as plain, as
/// `StorageSealer` does, and sealed by `Resealing`.
enum V006SealedQueues {
    static func statements(_ dialect: Dialect) -> [SQL] {
        ["inbound_staging", "outbox_edus"].map { table in
            "UPDATE \(raw: table) SET body = CAST(\([0] as [UInt8]) || body AS \(raw: dialect.bytesType))"
        }
    }
}
