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

    /// Something that must not be shown, or not be kept.
    private struct Ban {
        let why: String
        /// Where that holds: an id may be an event's of another room, too, in versions 1 and 2. `nil` for everywhere.
        let room: RoomID?
    }

    /// An honest server's event that a hostile one passed on with another content.
    struct Tampered: Sendable {
        let version: RoomVersion
        /// The content hash that stands in it, in base64.
        let hash: String
    }

    private struct State {
        var counts = Counts()
        var acknowledged: [Acknowledged] = []
        var findings: [String] = []
        var forbidden: [EventID: Ban] = [:]
        var unwanted: [EventID: Ban] = [:]
        var markers: [String: String] = [:]
        var twofold: Set<EventID> = []
        var tampered: [EventID: Tampered] = [:]
        var mendable: [ServerName: Set<EventID>] = [:]
    }

    /// More findings of one run say nothing new.
    private static let maximumFindings = 50

    /// How all words begin that no server may show.
    private static let markerPrefix = "never-shown-"

    private let state = Mutex(State())
    private let trace: Trace

    init(trace: Trace) { self.trace = trace }

    var counts: Counts { state.withLock { $0.counts } }
    var acknowledged: [Acknowledged] { state.withLock { $0.acknowledged } }
    var findings: [String] { state.withLock { $0.findings } }
    /// Ids that were given to two events: who knows the one cannot take the other.
    var twofold: Set<EventID> { state.withLock { $0.twofold } }
    var tampered: [EventID: Tampered] { state.withLock { $0.tampered } }
    /// Events that a server had of a tampered copy when it was given a whole one.
    var mendable: [ServerName: Set<EventID>] { state.withLock { $0.mendable } }

    /// Events that no server may show in a room, and why.
    func forbidden(in room: RoomID) -> [EventID: String] { Self.bans(state.withLock { $0.forbidden }, room) }

    /// Events that no server may even keep in a room, and why.
    func unwanted(in room: RoomID) -> [EventID: String] { Self.bans(state.withLock { $0.unwanted }, room) }

    private static func bans(_ bans: [EventID: Ban], _ room: RoomID) -> [EventID: String] {
        bans.filter { $0.value.room == nil || $0.value.room == room }.mapValues(\.why)
    }

    func count(_ change: @Sendable (inout Counts) -> Void) { state.withLock { change(&$0.counts) } }

    func acknowledge(_ event: Acknowledged) { state.withLock { $0.acknowledged.append(event) } }

    /// - Parameter room: where that holds; nil for everywhere.
    func forbid(_ event: EventID, in room: RoomID? = nil, _ why: String) {
        state.withLock { $0.forbidden[event] = Ban(why: why, room: room) }
    }

    func refuse(_ event: EventID, _ why: String) { state.withLock { $0.unwanted[event] = Ban(why: why, room: nil) } }

    /// Gives a word that no event may show.
    func marker(_ why: String) -> String {
        state.withLock { state in
            let marker = "\(Self.markerPrefix)\(state.markers.count)."
            state.markers[marker] = why
            return marker
        }
    }

    /// Why a text may not be shown; nil where it may.
    func markedReason(in text: String) -> String? {
        guard text.contains(Self.markerPrefix) else { return nil }
        return state.withLock { state in
            state.markers.sorted { $0.key < $1.key }.first { text.contains($0.key) }?.value
        }
    }

    func giveTwice(_ id: EventID) { state.withLock { _ = $0.twofold.insert(id) } }

    func tamper(with event: PDU) {
        guard let hash = event.document.root["hashes"]?["sha256"]?.string else { return }
        state.withLock { $0.tampered[event.id] = Tampered(version: event.version, hash: hash) }
    }

    /// A server has a tampered copy of an event, and was given a whole one.
    func mend(_ event: EventID, at server: ServerName) {
        state.withLock { _ = $0.mendable[server, default: []].insert(event) }
    }

    /// Something that must not be.
    func find(_ text: String) {
        trace.note("FOUND \(text)")
        state.withLock { if $0.findings.count < Self.maximumFindings { $0.findings.append(text) } }
    }
}
