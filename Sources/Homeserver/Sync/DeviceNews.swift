internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// What a sync tells a device about keys.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync>
struct DeviceNews {
    private var counts = ["signed_curve25519": 0]
    private var unused: [String] = []

    /// The keys that a device has left.
    /// - Throws: `DatabaseError`.
    init(_ user: UserID, _ device: DeviceID?, _ connection: any SQLConnection) throws {
        guard let device else { return }
        let keys = OneTimeKeyStore(connection)
        counts.merge(try keys.counts(user: user, device: device)) { $1 }
        unused = try keys.unusedFallbackAlgorithms(user: user, device: device)
    }

    /// Writes `device_one_time_keys_count` and `device_unused_fallback_key_types`.
    func write(into writer: inout JSONWriter) {
        writer.key("device_one_time_keys_count")
        writer.beginObject()
        for (algorithm, count) in counts.sorted(by: { $0.key < $1.key }) {
            writer.key(algorithm)
            writer.integer(count)
        }
        writer.endObject()
        writer.key("device_unused_fallback_key_types")
        writer.beginArray()
        for algorithm in unused { writer.string(algorithm) }
        writer.endArray()
    }
}

extension JSONWriter {
    /// `device_lists`
    mutating func deviceLists(changed: Set<UserID>, left: Set<UserID>) {
        key("device_lists")
        beginObject()
        for (name, users) in [("changed", changed), ("left", left)] {
            key(name)
            beginArray()
            for user in users.sorted() { string(user.text) }
            endArray()
        }
        endObject()
    }
}
