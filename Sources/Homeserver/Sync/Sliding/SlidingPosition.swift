internal import MatrixAPI

/// A `pos` of sliding sync: an answer of a connection, and the positions of the streams at it.
/// Spec: MSC4186, Connections.
struct SlidingPosition: Sendable, Hashable, CustomStringConvertible {
    static let prefix = "c1_"

    /// `connection_nid`
    var connection: Int64
    /// The answer's number; several in a row have the same if nothing changed of what the client was sent.
    var number: Int64
    /// A position of the stream `thread_subscriptions`, of which `/sync` does not tell.
    var threads: Int64
    var token: SyncToken

    init(connection: Int64, number: Int64, threads: Int64, token: SyncToken) {
        self.connection = connection
        self.number = number
        self.threads = threads
        self.token = token
    }

    /// Reads a position; nil for anything else.
    init?(_ text: String) {
        guard text.hasPrefix(Self.prefix), text.utf8.count <= SyncLimits.tokenBytes else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(
            separator: "_", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, let connection = Int64(parts[0]), let number = Int64(parts[1]), connection > 0,
            number > 0, let threads = Int64(parts[2]), threads >= 0, let token = try? SyncToken(String(parts[3]))
        else { return nil }
        self.init(connection: connection, number: number, threads: threads, token: token)
    }

    var description: String { "\(Self.prefix)\(connection)_\(number)_\(threads)_\(token)" }

    /// The client is to begin anew.
    static let unknown = MatrixError(.unknownPosition, "This position is not known, or no longer")
}
