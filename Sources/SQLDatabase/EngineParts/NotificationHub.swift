private import Synchronization

/// Hands each notification to every stream that is open.
package final class NotificationHub: Sendable {
    private struct State {
        var streams: [Int: AsyncStream<String>.Continuation] = [:]
        var next = 0
        var isFinished = false
    }

    private let state = Mutex(State())

    package init() {}

    /// A stream of what is sent from now on. It keeps the newest ``SQLLimits/bufferedNotifications``, with
    /// the empty one behind them once others were lost.
    package func stream() -> AsyncStream<String> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: String.self, bufferingPolicy: .bufferingNewest(SQLLimits.bufferedNotifications))
        let number = state.withLock { state -> Int? in
            guard !state.isFinished else { return nil }
            state.next += 1
            state.streams[state.next] = continuation
            return state.next
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.remove(number) }
        return stream
    }

    /// Sends payloads, in order.
    package func send(_ payloads: [String]) {
        guard !payloads.isEmpty else { return }
        let streams = state.withLock { Array($0.streams.values) }
        for stream in streams {
            var hasLost = false
            for payload in payloads { if case .dropped = stream.yield(payload) { hasLost = true } }
            // The reader must look for itself.
            if hasLost { stream.yield("") }
        }
    }

    /// Ends all streams, and those asked for later.
    package func finish() {
        let streams = state.withLock { state in
            state.isFinished = true
            defer { state.streams = [:] }
            return Array(state.streams.values)
        }
        for stream in streams { stream.finish() }
    }

    private func remove(_ number: Int) {
        state.withLock { _ = $0.streams.removeValue(forKey: number) }
    }
}
