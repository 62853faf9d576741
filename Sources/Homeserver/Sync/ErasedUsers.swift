internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Who asked to be forgotten: what they said is shown redacted to whoever was not in the room when they said it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>, `erase`
final class ErasedUsers: Sendable {
    private struct State {
        /// Whether there is anybody; nil when that must be asked.
        var hasAny: Bool?
        /// Until this monotonic time transactions may still run that do not see the newest erasure.
        var unsureUntil = Duration.zero
    }

    /// No read transaction takes longer.
    private static let longestTransaction = Duration.seconds(60)

    private let clock: any ServerClock
    private let state = Mutex(State())

    init(clock: any ServerClock) { self.clock = clock }

    /// Takes in a notification of the database that somebody was erased, or that notifications may have been lost.
    func received(_ notification: String) {
        let now = clock.monotonic()
        state.withLock { $0 = State(hasAny: nil, unsureUntil: now + Self.longestTransaction) }
    }

    /// Those of some users who are erased. Where nobody is, nothing is asked.
    /// - Throws: `DatabaseError`.
    func among(_ users: Set<UserID>, _ connection: any SQLConnection) throws -> Set<UserID> {
        guard !users.isEmpty else { return [] }
        let now = clock.monotonic()
        let known = state.withLock { $0 }
        if known.hasAny == false, known.unsureUntil <= now { return [] }
        let accounts = AccountStore(connection)
        if known.hasAny == nil, known.unsureUntil <= now {
            let hasAny = try accounts.hasErased()
            state.withLock { if $0.unsureUntil <= now { $0.hasAny = hasAny } }
            if !hasAny { return [] }
        }
        return try accounts.erased(among: users)
    }
}
