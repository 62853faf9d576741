private import DequeModule
private import Foundation
internal import MatrixAPI

/// Where work that blocks is done.
public enum BlockingWork: Sendable {
    /// On a few threads of its own.
    case ownThreads
    /// On the caller's thread, at once: for simulation, which must be repeatable.
    case inline
}

/// A few threads for work that blocks, such as files, so that no task waits behind it; how much waits is bounded.
final class WorkerThreads: Sendable {
    /// Apart from the owner, so that the threads do not keep it: they end when it does.
    private final class Queue: @unchecked Sendable {
        private let condition = NSCondition()
        private var waiting: Deque<@Sendable () -> Void> = []
        private var isClosed = false
        private let maximum: Int
        private let name: String
        private let threads: Int
        private var started = 0
        private var idle = 0

        init(name: String, threads: Int, maximum: Int) {
            self.name = name
            self.threads = threads
            self.maximum = maximum
        }

        func push(_ work: @escaping @Sendable () -> Void) -> Bool {
            condition.lock()
            defer { condition.unlock() }
            guard !isClosed, waiting.count < maximum else { return false }
            waiting.append(work)
            if waiting.count > idle, started < threads { start() }
            condition.signal()
            return true
        }

        /// One more thread, only once there is work for it.
        private func start() {
            started += 1
            let thread = Thread { [self] in while let work = pop() { work() } }
            thread.name = name
            thread.start()
        }

        private func pop() -> (@Sendable () -> Void)? {
            condition.lock()
            defer { condition.unlock() }
            while waiting.isEmpty {
                if isClosed { return nil }
                idle += 1
                condition.wait()
                idle -= 1
            }
            return waiting.removeFirst()
        }

        func close() {
            condition.lock()
            isClosed = true
            condition.broadcast()
            condition.unlock()
        }
    }

    private let queue: Queue?

    init(name: String, count: Int, maximumWaiting: Int, _ place: BlockingWork) {
        guard place == .ownThreads else {
            queue = nil
            return
        }
        queue = Queue(name: name, threads: max(1, count), maximum: maximumWaiting)
    }

    deinit { queue?.close() }

    /// Does work on one of the threads. Throws what it throws; `M_LIMIT_EXCEEDED` when too much waits.
    func run<R: Sendable>(_ work: @escaping @Sendable () throws -> R) async throws -> R {
        guard let queue else { return try work() }
        let result: Result<R, any Error> = await withCheckedContinuation { continuation in
            let isTaken = queue.push { continuation.resume(returning: Result(catching: work)) }
            if !isTaken {
                continuation.resume(returning: .failure(MatrixError.limitExceeded(retryAfterMilliseconds: 2_000)))
            }
        }
        return try result.get()
    }
}
