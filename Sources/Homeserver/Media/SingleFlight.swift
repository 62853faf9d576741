internal import MatrixAPI
private import Synchronization

/// Has a thing done once for all who want it at the same time.
final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private enum Turn: Sendable {
        case first
        case finished(Result<Value, any Error>)
        /// The one that worked was cancelled: somebody else must.
        case abandoned
    }

    private let waiting = Mutex<[Key: [CheckedContinuation<Turn, Never>]]>([:])

    /// Works, or waits for the one that does and takes its result.
    func run(_ key: Key, _ work: () async throws -> Value) async throws -> Value {
        while true {
            switch await turn(key) {
            case .finished(let result): return try result.get()
            case .abandoned: try Task.checkCancellation()
            case .first:
                let result: Result<Value, any Error>
                do { result = .success(try await work()) } catch { result = .failure(error) }
                var told = Turn.finished(result)
                if case .failure = result, Task.isCancelled { told = .abandoned }
                let others = waiting.withLock { $0.removeValue(forKey: key) } ?? []
                for other in others { other.resume(returning: told) }
                return try result.get()
            }
        }
    }

    private func turn(_ key: Key) async -> Turn {
        await withCheckedContinuation { continuation in
            let isFirst = waiting.withLock { waiting in
                guard waiting[key] != nil else {
                    waiting[key] = []
                    return true
                }
                waiting[key]?.append(continuation)
                return false
            }
            if isFirst { continuation.resume(returning: .first) }
        }
    }
}

/// Lets so many in at once; others wait, in order.
final class Gate: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Bool, Never>] = []
    }

    private let state: Mutex<State>
    private let maximumWaiting: Int

    init(_ count: Int, maximumWaiting: Int) {
        state = Mutex(State(free: max(1, count)))
        self.maximumWaiting = maximumWaiting
    }

    /// Works inside. Throws `M_LIMIT_EXCEEDED` when too many wait.
    func pass<R>(_ work: () async throws -> R) async throws -> R {
        guard await enter() else { throw MatrixError.limitExceeded(retryAfterMilliseconds: 5_000) }
        defer { leave() }
        return try await work()
    }

    private func enter() async -> Bool {
        await withCheckedContinuation { continuation in
            let answer: Bool? = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                guard state.waiting.count < maximumWaiting else { return false }
                state.waiting.append(continuation)
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    private func leave() {
        let next: CheckedContinuation<Bool, Never>? = state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume(returning: true)
    }
}
