internal import FedchatTesting
internal import Synchronization

/// What happened, in order: a line each, and a hash of all lines. Two runs that did the same have the same hash.
final class Trace: Sendable {
    private struct State {
        /// FNV-1a, 64 bits.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        var lines: [String] = []
    }

    private let clock: ManualClock
    private let keepsLines: Bool
    private let state = Mutex(State())

    init(clock: ManualClock, keepsLines: Bool) {
        self.clock = clock
        self.keepsLines = keepsLines
    }

    func note(_ text: @autoclosure () -> String) {
        let (seconds, attoseconds) = clock.now.offset.components
        let micros = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        let line = "\(micros) \(text())"
        state.withLock { state in
            for byte in line.utf8 { state.hash = (state.hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            if keepsLines { state.lines.append(line) }
        }
    }

    /// Adds what explains the rest, and is no part of what happened: it does not count for the hash.
    func explain(_ lines: @autoclosure () -> [String]) {
        guard keepsLines else { return }
        let lines = lines()
        state.withLock { $0.lines += lines }
    }

    /// Sixteen hexadecimal digits.
    var hash: String {
        let text = String(state.withLock { $0.hash }, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    var lines: [String] { state.withLock { $0.lines } }
}
