internal import Cryptography

/// The hash under `hashes.sha256`, which covers an event whole, its unprotected parts too.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#calculating-the-content-hash-for-an-event>
public enum ContentHash {
    static let uncovered: Set<String> = ["unsigned", "signatures", "hashes"]

    /// The 32 bytes for an event that is canonical JSON.
    public static func compute(_ event: JSONView) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (key, value) in event.members where !uncovered.contains(key) {
            writer.key(key)
            writer.raw(value.rawBytes)
        }
        writer.endObject()
        return SHA256.hash(writer.bytes)
    }

    /// Whether the event is whole. Where it is not, its redacted form is used (`PDU.redacted()`).
    public static func matches(_ event: PDU) -> Bool { matches(event.document.root) }

    /// The same of an event that is canonical JSON.
    public static func matches(_ event: JSONView) -> Bool {
        guard let text = event["hashes"]?["sha256"]?.string, let claimed = Base64.decode(text) else { return false }
        return claimed == compute(event)
    }
}
