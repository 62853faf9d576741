internal import FedchatTesting
private import Synchronization

/// Runs all tasks of a simulation on the caller's thread, in an order that follows from a seed. Time is a manual clock, which
/// moves only when nothing else can be done.
///
/// Everything must be structured: an unstructured task would run elsewhere.
final class SeededExecutor: TaskExecutor {
    /// How a run ended that did not come to its end.
    enum Stall: Error {
        /// Nothing is ready, nobody sleeps, and it is not over.
        case nobodyCanGoOn
        /// So many jobs in a row without that time passed.
        case timeStands
    }

    private struct State {
        var ready: [UnownedJob] = []
        var choice: SplitMix64
        var jobs: UInt64 = 0
    }

    /// Jobs in a row without that time passes.
    private static let jobsPerMoment = 20_000_000

    private let state: Mutex<State>
    private let clock: ManualClock

    init(seed: UInt64, clock: ManualClock) {
        state = Mutex(State(choice: SplitMix64(seed: seed)))
        self.clock = clock
    }

    /// How many jobs ran.
    var jobCount: UInt64 { state.withLock { $0.jobs } }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.ready.append(job) }
    }

    /// Runs `body`, and all that it starts, to its end. Blocks.
    func run<R: Sendable>(_ body: @escaping @Sendable () async -> R) throws(Stall) -> R {
        let result = Slot<R>()
        Task(executorPreference: self) { result.fill(await body()) }
        while true {
            var count = 0
            while let job = next() {
                job.runSynchronously(on: asUnownedTaskExecutor())
                count += 1
                guard count < Self.jobsPerMoment else { throw .timeStands }
            }
            if let value = result.value { return value }
            guard clock.advanceToNextSleeper() else { throw .nobodyCanGoOn }
        }
    }

    private func next() -> UnownedJob? {
        state.withLock { state in
            guard !state.ready.isEmpty else { return nil }
            state.jobs += 1
            let index = Int(state.choice.next() % UInt64(state.ready.count))
            state.ready.swapAt(index, state.ready.count - 1)
            return state.ready.removeLast()
        }
    }
}

private final class Slot<R: Sendable>: Sendable {
    private let kept = Mutex<R?>(nil)

    var value: R? { kept.withLock { $0 } }
    func fill(_ value: R) { kept.withLock { $0 = value } }
}
