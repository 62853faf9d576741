internal import Synchronization

/// Lets callers that want the same thing done form a queue, of which one does the work of all that wait: so jobs are done
/// in order and in batches, without a task of their own.
final class TurnQueue<Job: Sendable, Answer: Sendable>: Sendable {
    private enum Turn: Sendable {
        case answered(Answer)
        case leads
    }

    private struct Waiting {
        let job: Job
        let continuation: CheckedContinuation<Turn, Never>
    }

    private struct State {
        var waiting: [Waiting] = []
        var isBusy = false
    }

    private let state = Mutex(State())

    /// Has a job done. The answers of `work` stand in the order of its jobs, of which there are at most `batch`.
    func submit(_ job: Job, batch: Int, work: ([Job]) async -> [Answer]) async -> Answer {
        let turn = await withCheckedContinuation { continuation in
            let leads = state.withLock { state in
                state.waiting.append(Waiting(job: job, continuation: continuation))
                defer { state.isBusy = true }
                return !state.isBusy
            }
            if leads { continuation.resume(returning: .leads) }
        }
        if case .answered(let answer) = turn { return answer }
        // Whoever leads stands first in the queue.
        let taken = state.withLock { state in
            let taken = Array(state.waiting.prefix(batch))
            state.waiting.removeFirst(taken.count)
            return taken
        }
        let answers = await work(taken.map(\.job))
        precondition(answers.count == taken.count && !answers.isEmpty, "each job has an answer")
        let next = state.withLock { state in
            if state.waiting.isEmpty { state.isBusy = false }
            return state.waiting.first?.continuation
        }
        next?.resume(returning: .leads)
        for (waiting, answer) in zip(taken, answers).dropFirst() {
            waiting.continuation.resume(returning: .answered(answer))
        }
        return answers[0]
    }
}
