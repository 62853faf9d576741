import MatrixModel

/// One number that a scenario found.
struct Measurement: Sendable {
    enum Better: Sendable {
        case more, less
    }

    let name: String
    let value: Double
    let unit: String
    let better: Better

    init(_ name: String, _ value: Double, _ unit: String, _ better: Better) {
        self.name = name
        self.value = value
        self.unit = unit
        self.better = better
    }

    /// The median and the 99th percentile of durations, in milliseconds.
    static func latencies(_ name: String, _ durations: [Duration]) -> [Measurement] {
        let sorted = durations.sorted()
        guard !sorted.isEmpty else { return [] }
        func at(_ share: Double) -> Double {
            sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))] / .milliseconds(1)
        }
        return [
            Measurement("\(name), p50", at(0.5), "ms", .less), Measurement("\(name), p99", at(0.99), "ms", .less),
        ]
    }
}

/// What was measured on one or two servers.
struct Report {
    private var order: [String] = []
    private var found: [String: [[Double]]] = [:]
    private var kinds: [String: Measurement] = [:]
    let names: [String]

    init(_ names: [String]) { self.names = names }

    /// Takes what one server gave in.
    mutating func add(_ measurements: [Measurement], of server: Int) {
        for measurement in measurements {
            if kinds[measurement.name] == nil {
                order.append(measurement.name)
                kinds[measurement.name] = measurement
                found[measurement.name] = Array(repeating: [], count: names.count)
            }
            found[measurement.name]?[server].append(measurement.value)
        }
    }

    private func median(_ name: String, _ server: Int) -> Double? {
        guard let values = found[name]?[server].sorted(), !values.isEmpty else { return nil }
        return values[values.count / 2]
    }

    /// How many times better the first server is.
    private func ratio(_ name: String) -> Double? {
        guard names.count == 2, let first = median(name, 0), let second = median(name, 1), first > 0, second > 0
        else { return nil }
        return kinds[name]?.better == .more ? first / second : second / first
    }

    var table: String {
        var rows = [["", "unit"] + names + (names.count == 2 ? ["times better"] : [])]
        for name in order {
            var row = [name, kinds[name]?.unit ?? ""]
            for server in names.indices { row.append(median(name, server).map(Self.text) ?? "-") }
            if names.count == 2 { row.append(ratio(name).map(Self.text) ?? "-") }
            rows.append(row)
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                return column < 2 ? cell + blanks : blanks + cell
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    var json: JSONValue {
        .array(
            order.map { name in
                var row: JSONValue = ["name": .string(name), "unit": .string(kinds[name]?.unit ?? "")]
                for (server, title) in names.enumerated() {
                    if let value = median(name, server) { row[title] = .number(value) }
                }
                if let ratio = ratio(name) { row["times_better"] = .number(ratio) }
                return row
            })
    }

    private static func text(_ value: Double) -> String {
        if value >= 100 { return String(Int(value.rounded())) }
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
