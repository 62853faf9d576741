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

    func terminate() {
        for pid in pids.withLock({ $0 }) { kill(pid, SIGTERM) }
    }
}
