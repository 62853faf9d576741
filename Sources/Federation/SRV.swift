/// One SRV record. Source: RFC 2782.
public struct SRVRecord: Sendable, Hashable {
    public var priority: Int
    public var weight: Int
    public var port: Int
    /// The host, without a dot at its end.
    public var target: String
    /// Seconds.
    public var timeToLive: Int

    public init(priority: Int, weight: Int, port: Int, target: String, timeToLive: Int) {
        self.priority = priority
        self.weight = weight
        self.port = port
        self.target = target
        self.timeToLive = timeToLive
    }
}

/// Looks SRV records up. An empty answer: there are none, or the look-up failed.
public protocol SRVResolving: Sendable {
    func records(of name: String) async -> [SRVRecord]
}

/// Finds no records: for servers without DNS, and tests.
public struct NoSRVRecords: SRVResolving {
    public init() {}
    public func records(of name: String) async -> [SRVRecord] { [] }
}

extension [SRVRecord] {
    /// The order in which to try them: by priority, heavier first within one.
    var inOrder: [SRVRecord] {
        sorted { ($0.priority, -$0.weight, $0.target) < ($1.priority, -$1.weight, $1.target) }
    }
}
