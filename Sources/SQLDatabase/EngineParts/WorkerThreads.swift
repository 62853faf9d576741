private import Glibc
private import Synchronization

/// Threads of an engine's own, for calls that block. The cooperative pool's threads must not.
package final class WorkerThreads: Sendable {
    private struct State {
        var running = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// Starts a thread that runs `body` and ends with it.
    /// - Parameter name: shown by `ps` and debuggers; at most 15 bytes.
    /// - Throws: `.unavailable` when the system allows no further thread.
    package func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(DatabaseError) {
        state.withLock { $0.running += 1 }
        let box = Unmanaged.passRetained(
            ThreadBody {
                Self.nameThisThread(name)
                body()
                self.ended()
            })
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            ended()
            throw DatabaseError(.unavailable, "cannot start a thread: \(String(cString: strerror(code)))")
        }
        pthread_detach(thread)
    }

    /// Waits until all threads have ended.
    package func join() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.running > 0 { state.waiting.append(continuation) }
                return state.running == 0
            }
            if isIdle { continuation.resume() }
        }
    }

    private static func nameThisThread(_ name: String) {
        guard let file = fopen("/proc/thread-self/comm", "w") else { return }
        fputs(name, file)
        fclose(file)
    }

    private func ended() {
        let waiting = state.withLock { state in
            state.running -= 1
            guard state.running == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}
