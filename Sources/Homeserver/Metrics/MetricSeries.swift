internal import Metrics
private import Synchronization

/// A metric with its labels, as Prometheus keeps it: a number that grows, one that is set, or counts of sizes.
final class MetricSeries: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// What has been recorded.
    struct Reading: Sendable {
        var value = 0.0
        /// Of a histogram: how many were at most the bound of the same index; the last is unbounded.
        var buckets: [Int64] = []
        var count: Int64 = 0
    }

    let kind: Kind
    /// The buckets' upper bounds, ascending.
    let bounds: [Double]
    private let state: Mutex<Reading>

    init(_ kind: Kind, bounds: [Double] = []) {
        self.kind = kind
        self.bounds = bounds
        state = Mutex(Reading(buckets: kind == .histogram ? Array(repeating: 0, count: bounds.count + 1) : []))
    }

    var reading: Reading { state.withLock { $0 } }

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    func increment(by amount: Double) {
        if amount > 0 || kind == .gauge { state.withLock { $0.value += amount } }
    }

    func decrement(by amount: Double) { increment(by: -amount) }

    func reset() { state.withLock { $0.value = 0 } }

    func set(_ value: Int64) { set(Double(value)) }

    func set(_ value: Double) { state.withLock { $0.value = value } }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard kind == .histogram else { return set(value) }
        guard value.isFinite else { return }
        let index = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.buckets[index] += 1
            state.value += value
            state.count += 1
        }
    }

    /// A time, kept in seconds.
    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
}
