internal import Cryptography
internal import HomeserverStorage
public import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Works a room out anew from the bodies of its events alone, and says where what is kept differs: hashes, signatures,
/// authorization, the state after each event, and the room's head. It holds some two hundred bytes an event, and of the
/// events themselves only a few hundred at a time.
///
/// Two things the log does not tell: whether an event was soft-failed rightly, which depends on when it came, and what the
/// state was before an event whose predecessors are not here. The latter is taken as told, and checked as far as it goes.
public struct RoomCheck: Sendable {
    static let rowsAtOnce = 256
    private static let stateCacheBytes = 32 << 20
    private static let eventCacheBytes = 32 << 20

    private let environment: Environment

    public init(_ environment: Environment) { self.environment = environment }

    /// Checks a room as it is at one moment; nil when it is not known here.
    /// - Throws: `DatabaseError`.
    public func check(_ room: RoomID) async throws -> RoomCheckReport? {
        let environment = environment
        return try await environment.database.read { connection in
            guard let record = try RoomStore(connection).room(room) else { return nil }
            var check = RoomChecking(
                environment: environment, connection: connection, room: record,
                states: StateCache(bytes: Self.stateCacheBytes), cache: EventCache(bytes: Self.eventCacheBytes))
            try check.readRows()
            try check.walk()
            try check.compareHead()
            return check.report
        }
    }
}

/// A check on its way. Reading rows is here; the walk through the graph and the head are in extensions.
struct RoomChecking {
    /// What is remembered of an event.
    struct Node {
        var nid: Int64
        var position: Int64?
        var depth: Int64
        var flags: EventFlags
        /// The events before it that are here, by number.
        var prev: [Int64]
        /// Whether all before it are here.
        var hasAllPrev: Bool
        var storedState: StateRoot?
        var replaces: Int64?
        var isState: Bool
        /// Of a membership of one of our users: whose, and whether it is in the room since.
        var ownMember: (user: String, isJoined: Bool)?
        /// What follows from the log.
        var state: StateRoot?

        /// Whether it was fetched later: only events that came by themselves stand at whole steps.
        var isHistory: Bool {
            guard let position else { return false }
            return position < 0 || position % StreamPositions.eventStep != 0
        }
    }

    let environment: Environment
    let connection: any SQLConnection
    let room: RoomRecord
    let states: StateCache
    let cache: EventCache
    let log: EventLog
    var report: RoomCheckReport
    var numbers: [EventID: Int64] = [:]
    var nodes: [Int64: Node] = [:]
    /// Events that are referred to and not here.
    var unknown: Set<EventID> = []
    /// Those of them to which only events refer that were not let in, or were and are not any more.
    var unknownToTimeline: Set<EventID> = []
    /// Events whose bodies cannot be read; what depends on them is not judged.
    var damaged: Set<Int64> = []
    /// Nodes of states that follow from the log and are not stored.
    var ownStates = StateChange(.empty)
    /// Of what time messages were taken out, if any were.
    var purged: (before: Int64, depth: Int64)?
    /// Who redacted what, as the rows say.
    var redactions: [Int64: EventID] = [:]
    private var keys: StoredKeys

    init(
        environment: Environment, connection: any SQLConnection, room: RoomRecord, states: StateCache,
        cache: EventCache
    ) {
        self.environment = environment
        self.connection = connection
        self.room = room
        self.states = states
        self.cache = cache
        log = EventLog(connection, environment.sealer)
        report = RoomCheckReport(room: room.id, version: room.version)
        keys = StoredKeys(environment)
    }

    // MARK: Each row by itself

    mutating func readRows() throws {
        purged = try HistoryPurge(connection, environment.sealer).end(room: room.nid)
        numbers = try log.numbers(room: room.nid)
        var last = Int64.min
        while true {
            let rows = try log.rows(room: room.nid, after: last, limit: RoomCheck.rowsAtOnce)
            for row in rows {
                try read(row)
                if nodes[row.nid] == nil { damaged.insert(row.nid) }
            }
            guard let end = rows.last, rows.count == RoomCheck.rowsAtOnce else { return }
            last = end.nid
        }
    }

    private mutating func read(_ row: EventRow) throws {
        report.events += 1
        guard let id = try? EventID(row.eventID) else { return report.add(.columns, nil, "event_id is no event id") }
        guard let body = row.body else {
            return report.add(.bodyUnreadable, id, "damaged, or sealed under a key that is not in the key file")
        }
        let pdu: PDU
        do throws(MalformedEvent) { pdu = try PDU(parsing: body, version: room.version) } catch {
            return report.add(.malformed, id, error.rule)
        }
        guard pdu.id == id else {
            return report.add(.eventID, id, "the body is that of \(pdu.id)")
        }
        if pdu.canonicalJSON != body { report.add(.notCanonical, id, "the body is not canonical JSON") }
        guard pdu.roomID == room.id else { return report.add(.otherRoom, id, "its room is \(pdu.roomID)") }
        compareColumns(row, pdu)
        checkContent(row, pdu)
        try checkSignatures(pdu)
        let auth = Set(pdu.isState ? pdu.authEvents.compactMap { numbers[$0] } : [])
        if auth != row.authNIDs {
            report.add(.authEdges, id, "\(auth.count) in the body, \(row.authNIDs.count) in auth_edges")
        }
        note(row, pdu)
    }

    private mutating func compareColumns(_ row: EventRow, _ pdu: PDU) {
        var differing: [String] = []
        if row.type != pdu.type.text { differing.append("type") }
        if row.stateKey.map({ Array($0.utf8) }) != pdu.stateKey.map({ Array($0.utf8) }) {
            differing.append("state_key")
        }
        if row.sender != pdu.sender.text { differing.append("sender") }
        if row.depth != pdu.depth { differing.append("depth") }
        if row.originServerTimestamp != pdu.originServerTimestamp { differing.append("origin_server_ts") }
        guard !differing.isEmpty else { return }
        report.add(.columns, pdu.id, differing.joined(separator: ", "))
    }

    /// The content hash covers what a redaction takes away; so the hash of a redacted event says nothing, but then the body
    /// must be what a redaction leaves.
    private mutating func checkContent(_ row: EventRow, _ pdu: PDU) {
        let isRedacted = row.flags.contains(.redacted)
        if isRedacted != (row.redactedBy != nil) {
            report.add(.redaction, pdu.id, "the flag says \(isRedacted), redacted_by \(row.redactedBy ?? "nobody")")
        }
        if let by = row.redactedBy.flatMap({ try? EventID($0) }) { redactions[row.nid] = by }
        let isBare = (try? pdu.redacted().canonicalJSON) == pdu.canonicalJSON
        if isRedacted {
            report.redacted += 1
            if !isBare { report.add(.redaction, pdu.id, "it is redacted, but its body is whole") }
        } else if !ContentHash.matches(pdu) {
            guard isBare else { return report.add(.contentHash, pdu.id, "the content is not what was hashed") }
            report.redactedOnReceipt += 1
        }
    }

    private mutating func checkSignatures(_ pdu: PDU) throws {
        for server in EventSignatures.requiredServers(of: pdu).sorted() {
            if let problem = try keys.problem(with: pdu, of: server, connection) {
                report.add(.signature, pdu.id, problem)
            }
        }
    }

    private mutating func note(_ row: EventRow, _ pdu: PDU) {
        let isPlaced = row.flags.isDisjoint(with: [.outlier, .rejected, .softFailed])
        if isPlaced != (row.position != nil) {
            report.add(.place, pdu.id, isPlaced ? "it has no place in the timeline" : "it has a place in the timeline")
        }
        if pdu.isState { report.stateEvents += 1 }
        if row.position != nil { report.inTimeline += 1 }
        if row.flags.contains(.outlier) { report.outliers += 1 }
        if row.flags.contains(.rejected) { report.rejected += 1 }
        if row.flags.contains(.softFailed) { report.softFailed += 1 }
        let prev = pdu.prevEvents.compactMap { numbers[$0] }
        let missing = pdu.prevEvents.filter { numbers[$0] == nil }
        if isPlaced { unknown.formUnion(missing) }
        if !isPlaced, !row.flags.contains(.outlier) { unknownToTimeline.formUnion(missing) }
        let root = row.stateAfter.flatMap { StateRoot($0) }
        if row.stateAfter != nil, root == nil { report.add(.stateAfter, pdu.id, "the column names no state") }
        var ownMember: (user: String, isJoined: Bool)?
        if pdu.type == .member, let user = pdu.stateKey.flatMap({ try? UserID($0) }), environment.isLocal(user) {
            ownMember = (user.text, (try? RoomMember(pdu).membership) == .join)
        }
        nodes[row.nid] = Node(
            nid: row.nid, position: row.position, depth: pdu.depth, flags: row.flags, prev: prev,
            hasAllPrev: prev.count == pdu.prevEvents.count, storedState: root, replaces: row.replaces,
            isState: pdu.isState, ownMember: ownMember)
    }
}

/// The signing keys that are kept, without asking anybody.
private struct StoredKeys {
    /// Servers whose keys are held at once.
    private static let maximumServers = 10_000

    private let environment: Environment
    private var known: [ServerName: [ServerKeyStore.Key]] = [:]

    init(_ environment: Environment) { self.environment = environment }

    /// What is wrong with a server's signatures of an event.
    mutating func problem(
        with pdu: PDU, of server: ServerName, _ connection: any SQLConnection
    ) throws -> String? {
        let ids = EventSignatures.signingKeyIDs(of: server, on: pdu)
        guard !ids.isEmpty else { return "\(server) has not signed it" }
        var holds = false
        for id in ids {
            guard let key = try key(id, of: server, for: pdu, connection) else { continue }
            guard EventSignatures.verify(pdu, server: server, keyID: id, key: key) else {
                return "the signature of \(server) by \(id) is wrong"
            }
            holds = true
        }
        return holds ? nil : "no key of \(server) that counted then is known: \(ids.joined(separator: ", "))"
    }

    private mutating func key(
        _ id: String, of server: ServerName, for pdu: PDU, _ connection: any SQLConnection
    ) throws -> Ed25519.PublicKey? {
        let time = pdu.originServerTimestamp
        let enforced = pdu.version.rules.enforceKeyValidity
        if server == environment.serverName {
            let keys = environment.signingKeys
            if keys.keyID == id { return keys.current.publicKey }
            return keys.retired.first { $0.keyID == id && (!enforced || time <= $0.expired) }?.publicKey
        }
        if known[server] == nil {
            if known.count >= Self.maximumServers { known.removeAll() }
            known[server] = try ServerKeyStore(connection).keys(of: server.text)
        }
        guard let key = known[server]?.first(where: { $0.keyID == id }),
            !enforced || time <= key.expired ?? key.validUntil
        else { return nil }
        return try? Ed25519.PublicKey(key.publicKey)
    }
}
