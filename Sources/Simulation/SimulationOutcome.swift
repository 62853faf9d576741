internal import MatrixModel

/// What came of a run.
public struct SimulationOutcome: Sendable {
    public let plan: SimulationPlan
    /// What must not be and was. Empty: all is well.
    public let findings: [String]
    /// Events in the rooms at the end, each counted once.
    public let events: Int
    /// Events that clients were told are sent.
    public let acknowledged: Int
    public let requests: Int
    /// Those of the requests that were syncs.
    public let syncs: Int
    public let refused: Int
    public let partitions: Int
    public let crashes: Int
    /// Crashes that left something written and not synced.
    public let tornWrites: Int
    /// Messages of the network that were lost, repeated, or met a partition.
    public let disturbed: Int
    /// Events and requests that hostile servers made up.
    public let byzantine: Int
    public let virtualSeconds: Double
    public let realSeconds: Double
    /// Equal for runs that did the same.
    public let traceHash: String
    public let trace: [String]

    /// Whether nothing was found.
    public var isGood: Bool { findings.isEmpty }
}
