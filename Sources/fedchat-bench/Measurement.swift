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

/// What was measured on the servers.
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

    /// How many times better the first server is than another one.
    private func ratio(_ name: String, to other: Int) -> Double? {
        guard let first = median(name, 0), let second = median(name, other), first > 0, second > 0 else { return nil }
        return kinds[name]?.better == .more ? first / second : second / first
    }

    var table: String {
        var rows = [["", "unit"] + names + names.dropFirst().map { "x \($0)" }]
        for name in order {
            var row = [name, kinds[name]?.unit ?? ""]
            for server in names.indices { row.append(median(name, server).map(Self.text) ?? "-") }
            for other in names.indices.dropFirst() { row.append(ratio(name, to: other).map(Self.text) ?? "-") }
            rows.append(row)
        }
        return Self.aligned(rows, textColumns: 2)
    }

    /// Columns side by side; those that are no text to the right.
    static func aligned(_ rows: [[String]], textColumns: Int) -> String {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                return column < textColumns ? cell + blanks : blanks + cell
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
                for other in names.indices.dropFirst() {
                    if let ratio = ratio(name, to: other) { row["times better than \(names[other])"] = .number(ratio) }
                }
                return row
            })
    }

    static func text(_ value: Double) -> String {
        if value >= 100 { return String(Int(value.rounded())) }
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
