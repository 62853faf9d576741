internal import MatrixAPI

/// A position of the stream `thread_subscriptions`, as clients page by it.
/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4308>
struct ThreadSubscriptionToken: Sendable, Hashable, CustomStringConvertible {
    var position: Int64

    init(_ position: Int64) { self.position = position }

    /// Reads a token. Throws `M_INVALID_PARAM`.
    init(parsing text: String, of name: String) throws(MatrixError) {
        guard text.utf8.count <= SyncLimits.tokenBytes, text.hasPrefix("h1_"), let position = Int64(text.dropFirst(3)),
            (0...SyncLimits.greatestPosition).contains(position)
        else { throw MatrixError(.invalidParameter, "\(name) is not a valid token") }
        self.position = position
    }

    var description: String { "h1_\(position)" }
}
