internal import MatrixAPI

/// Where a client stands: a position of each stream. What it has seen follows from nothing else.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#syncing>
struct SyncToken: Sendable, Hashable, CustomStringConvertible {
    var events: Int64 = 0
    var toDevice: Int64 = 0
    var receipts: Int64 = 0
    var accountData: Int64 = 0
    var deviceLists: Int64 = 0
    var presence: Int64 = 0
    var typing: Int64 = 0

    /// The streams by their names, in the order of the text.
    private static let fields: [(name: String, path: any WritableKeyPath<SyncToken, Int64> & Sendable)] = [
        ("events", \.events), ("to_device", \.toDevice), ("receipts", \.receipts), ("account_data", \.accountData),
        ("device_lists", \.deviceLists), ("presence", \.presence), ("typing", \.typing),
    ]

    init() {}

    /// The newest positions.
    init(_ positions: [String: Int64]) {
        for field in Self.fields { self[keyPath: field.path] = positions[field.name] ?? 0 }
    }

    /// Reads a token. Throws `M_UNKNOWN`, as clients of other servers know it.
    init(_ text: String) throws(MatrixError) {
        guard text.utf8.count <= SyncLimits.tokenBytes else { throw Self.invalid }
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.first == "s1", parts.count == Self.fields.count + 1 else { throw Self.invalid }
        for (field, part) in zip(Self.fields, parts.dropFirst()) {
            guard !part.isEmpty, part.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let position = Int64(part),
                position <= SyncLimits.greatestPosition
            else { throw Self.invalid }
            self[keyPath: field.path] = position
        }
    }

    /// Whether no stream is behind where it is in another token.
    func isAtOrAfter(_ other: SyncToken) -> Bool {
        Self.fields.allSatisfy { self[keyPath: $0.path] >= other[keyPath: $0.path] }
    }

    var description: String {
        "s1_" + Self.fields.map { String(self[keyPath: $0.path]) }.joined(separator: "_")
    }

    static let invalid = MatrixError(.unknown, "Invalid stream token", status: 400)
}

/// A point between two events of a room's timeline: behind the event at its position. Negative in history fetched later.
struct TimelineToken: Sendable, Hashable, CustomStringConvertible {
    var position: Int64

    init(after position: Int64) { self.position = position }

    /// The point before the event at a position.
    init(before position: Int64) { self.position = position - 1 }

    /// Reads a `prev_batch`, `start` or `end`, or a token of a sync. Throws `M_UNKNOWN`.
    init(_ text: String) throws(MatrixError) {
        if text.hasPrefix("s1_") {
            position = try SyncToken(text).events
            return
        }
        if let sliding = SlidingPosition(text) {
            position = sliding.token.events
            return
        }
        guard text.utf8.count <= SyncLimits.tokenBytes, text.hasPrefix("t1_"), let position = Int64(text.dropFirst(3)),
            position.magnitude <= SyncLimits.greatestPosition.magnitude
        else { throw SyncToken.invalid }
        self.position = position
    }

    var description: String { "t1_\(position)" }
}
