internal import HTTPMessages
internal import Synchronization

/// What somebody waits for, once: the first that is given counts. Cancelled, it is given `nil`.
final class Reply<Value: Sendable>: Sendable {
    private enum State {
        case open
        case waiting(CheckedContinuation<Value?, Never>)
        case given(Value?)
    }

    private let state = Mutex(State.open)

    func give(_ value: Value?) {
        let waiting = state.withLock { state -> CheckedContinuation<Value?, Never>? in
            switch state {
            case .given: return nil
            case .open:
                state = .given(value)
                return nil
            case .waiting(let continuation):
                state = .given(value)
                return continuation
            }
        }
        waiting?.resume(returning: value)
    }

    /// Waits. One may.
    func wait() async -> Value? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let given: Value?? = state.withLock { state in
                    if case .given(let value) = state { return .some(value) }
                    state = .waiting(continuation)
                    return .none
                }
                if let given { continuation.resume(returning: given) }
            }
        } onCancel: {
            give(nil)
        }
    }
}
