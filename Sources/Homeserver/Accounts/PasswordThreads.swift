public import Cryptography
public import MatrixAPI

/// Makes and compares password hashes, which takes tens of milliseconds on purpose.
public protocol PasswordHashing: Sendable {
    /// A new hash. Throws `M_LIMIT_EXCEEDED` when too many wait, `M_INVALID_PARAM` for a password too long.
    func make(_ password: String) async throws(MatrixError) -> String
    /// Compares. Throws `M_LIMIT_EXCEEDED` when too many wait.
    func verify(_ password: String, against hash: String) async throws(MatrixError) -> PasswordHash.Verdict
}

/// Password hashing on a few threads of its own, so that no task waits behind it; how many wait is bounded.
public final class PasswordThreads: PasswordHashing {
    private let workers: WorkerThreads
    private let cost: PasswordHash.Cost
    private let makeHash: @Sendable (String) -> String?

    /// Starts the threads, if `place` says so. `cost` is one of `registration.password_hash_cost`; an unknown one is `interactive`.
    public init(
        cost: String, random: some RandomSource, threads: Int = 2, _ place: BlockingWork = .ownThreads
    ) {
        let cost = Self.cost(named: cost)
        self.cost = cost
        makeHash = { try? PasswordHash.make(Array($0.utf8), cost: cost, random: random) }
        workers = WorkerThreads(
            name: "password", count: threads, maximumWaiting: AuthenticationLimits.passwordsWaiting, place)
    }

    /// What a configured word costs.
    public static func cost(named name: String) -> PasswordHash.Cost {
        switch name {
        case "minimum": .minimal
        case "moderate": PasswordHash.Cost(passes: 3, memoryKiB: 64 * 1024)
        case "sensitive": PasswordHash.Cost(passes: 4, memoryKiB: 256 * 1024)
        default: .standard
        }
    }

    public func make(_ password: String) async throws(MatrixError) -> String {
        let hash = try await run { [makeHash] in makeHash(password) }
        guard let hash else { throw MatrixError(.invalidParameter, "The password is too long") }
        return hash
    }

    public func verify(_ password: String, against hash: String) async throws(MatrixError) -> PasswordHash.Verdict {
        try await run { [cost] in PasswordHash.verify(Array(password.utf8), against: hash, cost: cost) }
    }

    private func run<R: Sendable>(_ work: @escaping @Sendable () -> R) async throws(MatrixError) -> R {
        do { return try await workers.run(work) } catch let error as MatrixError { throw error } catch {
            throw .unknown
        }
    }
}
