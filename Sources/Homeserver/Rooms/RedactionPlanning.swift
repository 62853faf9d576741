internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Carrying out redactions, as one transaction sees their room.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#redactions>
struct RedactionPlanning {
    let reader: RoomReader
    let connection: any SQLConnection
    let room: RoomRecord

    private var log: EventLog { reader.log(connection) }

    /// Carries out an event that is a redaction, or those that waited for the event.
    /// - Parameters:
    ///   - before: the state before the event, which says whether it may redact.
    ///   - current: the room's state, which says whether those that waited may.
    ///   - append: what gets into the log with it; its state holds nodes that are not stored yet.
    ///   - unstored: events that are in the log otherwise, or not yet, by id.
    func redact(
        _ event: StoredEvent, before: StateRoot, current: StateRoot, in append: inout RoomAppend,
        unstored: [EventID: StoredEvent]
    ) throws {
        if event.pdu.type == .redaction, let id = event.pdu.redacts {
            if let target = try unstored[id] ?? log.event(id) {
                try carryOut(event, on: target, before, in: &append, unstored)
            } else {
                append.pendingRedactions.append((id, event.nid))
            }
        }
        // History comes newest first: what redacts an event may have come in here before it.
        let waiting = append.pendingRedactions.filter { $0.target == event.id }.map(\.redaction)
        append.pendingRedactions.removeAll { $0.target == event.id }
        for redaction in unstored.values.filter({ waiting.contains($0.nid) }).sorted(by: { $0.nid < $1.nid }) {
            try carryOut(redaction, on: event, current, in: &append, unstored)
        }
        for redaction in try log.pendingRedactions(of: event.id, room: room.nid) {
            try carryOut(redaction, on: event, current, in: &append, unstored)
            append.settledRedactions.append(event.id)
        }
    }

    private func carryOut(
        _ redaction: StoredEvent, on target: StoredEvent, _ root: StateRoot, in append: inout RoomAppend,
        _ unstored: [EventID: StoredEvent]
    ) throws {
        guard target.roomNID == room.nid, target.redactedBy == nil, target.nid != redaction.nid,
            !append.redactions.contains(where: { $0.target == target.nid })
        else { return }
        let pending = append.state
        let applies = try redactionApplies(redaction.pdu, to: target.pdu) {
            let keys = [StateKey(.create, ""), StateKey(.powerLevels, "")]
            let nids = try StateReader(connection, reader.states, pending: pending).events(at: root, keys: keys)
            let byNID = Dictionary(unstored.values.map { ($0.nid, $0) }, uniquingKeysWith: { first, _ in first })
            let stored = try reader.events.events(nids.values.filter { byNID[$0] == nil }, from: log)
            return RoomState(nids.values.compactMap { (byNID[$0] ?? stored[$0])?.pdu })
        }
        guard applies else { return }
        append.redactions.append(
            AppliedRedaction(target: target.nid, redacted: try target.pdu.redacted(), by: redaction.id))
    }
}
