internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The whole state before the events that were judged by a part of it, as far as the log does not tell it. All are stored.
struct RoomCompletion: Sendable {
    /// A join by which this server came in, and the whole state before it.
    struct Join: Sendable {
        var nid: Int64
        var before: StateRoot
    }

    /// The number of the join by which this server is in the room; one that was left and joined again is not completed by this.
    var joinNID: Int64
    /// The joins of which the state before is known better now, as they came; at least one.
    var joins: [Join]
    /// Before others.
    var before: [EventID: StateRoot] = [:]
    /// What still could not be had.
    var leftOut: LeftOutState?
    /// Whether the room was whole but for what was left out: then what followed the joins is judged again.
    var isAmendment = false

    /// What is still to be done for the room, if this is about it.
    func room(_ nid: Int64, _ connection: any SQLConnection) throws -> PartialRoom? {
        let rooms = PartialRoomStore(connection)
        let found = isAmendment ? try rooms.roomWithLeftOut(nid) : try rooms.room(nid)
        return found?.joinNID == joinNID ? found : nil
    }

    /// The events to be judged again.
    /// - Throws: `TooManyToAmend`.
    func events(_ log: EventLog, _ room: Int64) throws -> [StoredEvent] {
        guard isAmendment else { return try log.partialEvents(room: room) }
        guard let first = joins.first else { throw CorruptState() }
        let nids = try log.nids(since: first.nid, room: room, limit: RoomLimits.eventsAmended + 1)
        guard nids.count <= RoomLimits.eventsAmended else { throw TooManyToAmend() }
        let since = try log.events(nids: nids).values
        // Only what builds on a join has its state by it. Of what came while another join's members were not known, which never
        // were, the state is not known.
        let joins = Set(joins.map(\.nid))
        var following: [EventID: StoredEvent] = [:]
        let byID = Dictionary(since.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for pdu in RoomImport.ordered(byID.mapValues(\.pdu), by: \.prevEvents) {
            guard let event = byID[pdu.id], event.stateAfter != nil || event.flags.contains(.rejected) else { continue }
            if joins.contains(event.nid) || pdu.prevEvents.contains(where: { following[$0] != nil }) {
                following[pdu.id] = event
            }
        }
        return Array(following.values)
    }
}

/// More followed a join than is judged again.
struct TooManyToAmend: Error {}

/// The state before these events cannot be told from the log.
struct LacksStates: Error, Sendable {
    var events: [PDU]
}

/// Making a room whole that was joined without its members.
extension RoomWriter {
    /// Judges again what was judged by a part of the room's state, and makes the whole state the current one. A room that is
    /// whole already stays as it is.
    /// - Throws: `LacksStates`; `DatabaseError`, `CorruptState`, `ResolutionFailure`; `MatrixError` when the room changes all
    ///   the time.
    func complete(_ completion: RoomCompletion, room: RoomID, lane: RoomLane) async throws {
        try await retrying(lane, room) { () async throws -> Void in
            // A join may name what could not be had then; other servers have that in its auth chain.
            let joins = completion.joins.map(\.nid)
            if try await environment.database.read({ try !reader.log($0).lateAuthEvents(of: joins).isEmpty }) {
                let changed = try await environment.database.groupedWrite {
                    try reader.log($0).noteLateAuthEvents(of: joins)
                }
                reader.states.forgetAuthEvents(of: changed)
            }
            let keys: [StateKey] = try await environment.database.read { connection in
                guard let record = try RoomStore(connection).room(room) else { return [] }
                return try completion.events(EventLog(connection, environment.sealer), record.nid)
                    .compactMap { StateKey(of: $0.pdu) }
            }
            let numbers = try await reader.numbers(of: keys)
            guard let record = try await reader.record(room) else { return }
            let policy = try await reader.policy(of: record)
            let append: RoomAppend? = try await environment.database.read { connection in
                guard let record = try RoomStore(connection).room(room),
                    let partial = try completion.room(record.nid, connection)
                else { return nil }
                var planning = try CompletionPlanning(
                    completion, of: record, partial, stateKeyNumbers: numbers, policy: policy, writer: self,
                    connection: connection)
                return try planning.append()
            }
            guard let append else { return }
            _ = try await environment.database.groupedWrite {
                try EventLog($0, environment.sealer).append(append)
            }
            lane.head = nil
            reader.events.forget(append.events.map(\.nid) + append.redactions.map(\.target))
        }
    }
}
