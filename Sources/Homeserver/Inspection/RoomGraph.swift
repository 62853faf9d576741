public import HomeserverStorage
public import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The newest part of a room's graph, and its state, to be drawn. Holds no content.
public struct RoomGraph: Sendable {
    /// An event to draw.
    public struct Node: Sendable {
        public let id: EventID
        public let type: String
        public let stateKey: String?
        public let sender: String
        public let depth: Int64
        public let flags: EventFlags
        /// The short name of the state after it.
        public let state: String?
        /// It is one of the room's newest.
        public let isExtremity: Bool
        /// It holds its key in the current state.
        public let isCurrent: Bool
        /// The events before it, drawn or not.
        public let before: [EventID]
        public let auth: [EventID]
    }

    /// The most events that are drawn.
    public static let maximumEvents = 2_000
    /// The most keys of the state that are listed.
    public static let maximumState = 100

    public let room: RoomID
    public let version: String
    /// Each after those before it that are drawn.
    public let nodes: [Node]
    /// Type, state key and event of the current state, as far as it is listed.
    public let state: [(type: String, stateKey: String, event: EventID)]
    /// How many keys the state has.
    public let stateCount: Int

    /// The newest `limit` events of a room; nil when it is not known here.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public static func read(
        _ room: RoomID, limit: Int, _ environment: Environment
    ) async throws -> RoomGraph? {
        try await environment.database.read { connection in
            guard let record = try RoomStore(connection).room(room) else { return nil }
            let log = EventLog(connection, environment.sealer)
            let nids = try log.newest(room: record.nid, limit: min(max(limit, 1), maximumEvents))
            let events = try log.events(nids: nids)
            let states = StateCache(bytes: 16 << 20)
            let state = try StateReader(connection, states).all(at: record.state)
            let extremities = Set(record.extremities)
            let nodes = nids.compactMap { events[$0] }.map { event in
                Node(
                    id: event.id, type: event.pdu.type.text, stateKey: event.pdu.stateKey,
                    sender: event.pdu.sender.text, depth: event.pdu.depth, flags: event.flags,
                    state: event.stateAfter.map { String($0.description.prefix(6)) },
                    isExtremity: extremities.contains(event.nid),
                    isCurrent: StateKey(of: event.pdu).flatMap { state[$0] } == event.nid,
                    before: event.pdu.prevEvents, auth: event.pdu.authEvents)
            }
            let listed = state.sorted { $0.key.description < $1.key.description }.prefix(maximumState)
            let ids = try log.ids(listed.map(\.value))
            return RoomGraph(
                room: room, version: record.version.text, nodes: ordered(nodes),
                state: listed.compactMap { key, nid in
                    ids[nid].map { (type: key.type.text, stateKey: key.stateKey, event: $0) }
                },
                stateCount: state.count)
        }
    }

    /// Each after those before it.
    private static func ordered(_ nodes: [Node]) -> [Node] {
        var left = Dictionary(nodes.map { ($0.id, $0) }) { first, _ in first }
        var result: [Node] = []
        var waiting = nodes.sorted { ($0.depth, $0.id) < ($1.depth, $1.id) }
        while !waiting.isEmpty {
            let ready = waiting.filter { node in !node.before.contains { left[$0] != nil } }
            // Depth may lie, but a circle cannot be; should there be one all the same, it is drawn as it comes.
            let next = ready.isEmpty ? waiting : ready
            result += next
            for node in next { left[node.id] = nil }
            waiting.removeAll { left[$0.id] == nil }
        }
        return result
    }

    /// How an event is named where there is little room.
    static func short(_ id: EventID) -> String { String(id.text.prefix(9)) }

    /// Foreign text, without what cannot be drawn, and not too long.
    static func drawable(_ text: String, _ length: Int = 34) -> String {
        let clean = String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(length * 4).map {
                    $0.properties.generalCategory == .control || $0.properties.generalCategory == .format ? "?" : $0
                }))
        return clean.count > length ? clean.prefix(length - 1) + "…" : clean
    }

    /// The lines of a node.
    static func lines(_ node: Node) -> [String] {
        var first = node.type
        if let key = node.stateKey { first += key.isEmpty ? " ·" : " · " + key }
        var marks: [String] = []
        if node.flags.contains(.rejected) { marks.append("rejected") }
        if node.flags.contains(.softFailed) { marks.append("soft-failed") }
        if node.flags.contains(.redacted) { marks.append("redacted") }
        if node.isExtremity { marks.append("newest") }
        let last = "\(short(node.id)) depth \(node.depth) state \(node.state ?? "?")"
        return [drawable(first), drawable(node.sender), drawable((marks + [last]).joined(separator: " "), 48)]
    }
}
