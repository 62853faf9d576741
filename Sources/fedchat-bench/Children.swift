import Foundation
import Synchronization

/// The servers that were started. They end with this program, also when it is interrupted.
final class Children: Sendable {
    private let pids = Mutex<[pid_t]>([])
    /// Written once, in `init`.
    nonisolated(unsafe) private var sources: [any DispatchSourceSignal] = []

    init() {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [weak self] in
                self?.terminate()
                exit(128 + number)
            }
            source.resume()
            sources.append(source)
        }
    }

    func add(_ process: Process) {
        let pid = process.processIdentifier
        pids.withLock { $0.append(pid) }
    }

    /// Asks the servers to end, and after a while makes them.
    func terminate() {
        let running = pids.withLock { $0 }
        for pid in running { kill(pid, SIGTERM) }
        let deadline = ContinuousClock.now + BenchLimits.endPatience
        while ContinuousClock.now < deadline, running.contains(where: Self.runs) { usleep(20_000) }
        for pid in running where Self.runs(pid) { kill(pid, SIGKILL) }
    }

    private static func runs(_ pid: pid_t) -> Bool { waitpid(pid, nil, WNOHANG) == 0 }
}
