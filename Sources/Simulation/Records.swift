internal import MatrixModel
internal import Synchronization

/// What was done and found in the course of a run.
final class Records: Sendable {
    /// An event that a client was told is sent.
    struct Acknowledged: Sendable {
        let event: EventID
        let room: RoomID
        let server: ServerName
        let user: UserID
        /// What the client called the request; nil where the endpoint has no transaction id.
        let transaction: String?
        let isRedaction: Bool
    }

    /// Numbers of a run.
    struct Counts: Sendable, Hashable {
        var requests = 0, refused = 0, joins = 0, syncs = 0
        var partitions = 0, crashes = 0, tornWrites = 0
        var parted = 0, lost = 0, repeated = 0
        var byzantine = 0
    }

    private struct State {
        var counts = Counts()
        var acknowledged: [Acknowledged] = []
        var findings: [String] = []
        /// Events that no server may show, and why.
        var forbidden: [EventID: String] = [:]
    }

    /// More findings of one run say nothing new.
    private static let maximumFindings = 50

    private let state = Mutex(State())
    private let trace: Trace

    init(trace: Trace) { self.trace = trace }

    var counts: Counts { state.withLock { $0.counts } }
    var acknowledged: [Acknowledged] { state.withLock { $0.acknowledged } }
    var findings: [String] { state.withLock { $0.findings } }
    var forbidden: [EventID: String] { state.withLock { $0.forbidden } }

    func count(_ change: @Sendable (inout Counts) -> Void) { state.withLock { change(&$0.counts) } }

    func acknowledge(_ event: Acknowledged) { state.withLock { $0.acknowledged.append(event) } }

    func forbid(_ event: EventID, _ why: String) { state.withLock { $0.forbidden[event] = why } }

    /// Something that must not be.
    func find(_ text: String) {
        trace.note("FOUND \(text)")
        state.withLock { if $0.findings.count < Self.maximumFindings { $0.findings.append(text) } }
    }
}
