private import Glibc
public import Metrics
private import Synchronization

/// Keeps the metrics of this process and writes them as Prometheus reads them. The number of series is bounded: when
/// there are too many, new ones are counted as dropped and kept nowhere.
public final class PrometheusMetrics: MetricsFactory {
    /// A metric's labels, as they stand in its braces.
    private struct Key: Hashable {
        var name: String
        var labels: String
    }

    private struct State {
        var series: [Key: MetricSeries] = [:]
        /// How many label sets each name has.
        var counts: [String: Int] = [:]
        var dropped: Int64 = 0
    }

    /// Series in all, label sets of one name, and bytes of one label's value.
    static let maximumSeries = 10_000
    static let maximumSeriesPerName = 2_000
    static let maximumValueBytes = 128

    static let secondBounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
    private static let sizeBounds = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000.0]

    private let state = Mutex(State())
    private let nowhere: [MetricSeries.Kind: MetricSeries] = [
        .counter: MetricSeries(.counter), .gauge: MetricSeries(.gauge),
        .histogram: MetricSeries(.histogram, bounds: secondBounds),
    ]

    public init() {}

    /// Makes this process's metrics go here. To be called once, before anything is counted.
    public static func bootstrap() -> PrometheusMetrics {
        let metrics = PrometheusMetrics()
        MetricsSystem.bootstrap(metrics)
        return metrics
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, .counter)
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions, .counter)
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, .gauge)
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        series(label, dimensions, aggregate ? .histogram : .gauge, bounds: Self.sizeBounds)
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, .histogram, bounds: Self.secondBounds)
    }

    // Series live as long as the process, as Prometheus wants counters to.
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}

    func series(
        _ label: String, _ dimensions: [(String, String)], _ kind: MetricSeries.Kind, bounds: [Double] = []
    ) -> MetricSeries {
        let key = Key(name: Self.name(label), labels: Self.labels(dimensions))
        let found: MetricSeries? = state.withLock { state in
            if let known = state.series[key] { return known.kind == kind ? known : nil }
            guard state.series.count < Self.maximumSeries,
                state.counts[key.name, default: 0] < Self.maximumSeriesPerName
            else {
                state.dropped += 1
                return nil
            }
            let new = MetricSeries(kind, bounds: kind == .histogram ? bounds : [])
            state.series[key] = new
            state.counts[key.name, default: 0] += 1
            return new
        }
        return found ?? nowhere[kind] ?? MetricSeries(kind, bounds: bounds)
    }

    /// Everything, as text. Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>
    public func exposition() -> String {
        let (series, dropped) = state.withLock { ($0.series, $0.dropped) }
        var text = ""
        for (name, entries) in Dictionary(grouping: series, by: \.key.name).sorted(by: { $0.key < $1.key }) {
            guard let kind = entries.first?.value.kind else { continue }
            text += "# TYPE \(name) \(kind.rawValue)\n"
            for (key, metric) in entries.sorted(by: { $0.key.labels < $1.key.labels }) where metric.kind == kind {
                Self.write(metric, name, key.labels, into: &text)
            }
        }
        text += "# TYPE fedchat_metrics_dropped_total counter\nfedchat_metrics_dropped_total \(dropped)\n"
        var usage = rusage()
        if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
            let seconds =
                Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
                + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
            text += "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total \(seconds)\n"
            text += "# TYPE process_max_resident_memory_bytes gauge\n"
            text += "process_max_resident_memory_bytes \(usage.ru_maxrss * 1024)\n"
        }
        return text
    }

    private static func write(_ metric: MetricSeries, _ name: String, _ labels: String, into text: inout String) {
        let reading = metric.reading
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        guard metric.kind == .histogram else {
            text += "\(name)\(braces) \(number(reading.value))\n"
            return
        }
        let before = labels.isEmpty ? "" : labels + ","
        var total: Int64 = 0
        for (bound, count) in zip(metric.bounds.map(number) + ["+Inf"], reading.buckets) {
            total += count
            text += "\(name)_bucket{\(before)le=\"\(bound)\"} \(total)\n"
        }
        text += "\(name)_sum\(braces) \(number(reading.value))\n\(name)_count\(braces) \(reading.count)\n"
    }

    private static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return String(whole) }
        if value.isNaN { return "NaN" }
        return value.isInfinite ? (value > 0 ? "+Inf" : "-Inf") : String(value)
    }

    /// A name of letters, digits and underscores.
    private static func name(_ label: String) -> String {
        var name = String(
            String.UnicodeScalarView(
                label.unicodeScalars.map { $0.isASCII && $0.properties.isAlphabetic || isDigit($0) ? $0 : "_" }))
        if name.unicodeScalars.first.map(isDigit) ?? true { name = "_" + name }
        return name
    }

    private static func isDigit(_ character: Unicode.Scalar) -> Bool { ("0"..."9").contains(character) }

    private static func labels(_ dimensions: [(String, String)]) -> String {
        dimensions.map { dimension in
            let value = String(decoding: dimension.1.utf8.prefix(maximumValueBytes), as: UTF8.self)
                .replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            return "\(name(dimension.0))=\"\(value)\""
        }.joined(separator: ",")
    }
}
