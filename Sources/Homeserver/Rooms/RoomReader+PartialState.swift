internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The members of a room are asked for, and not known yet.
struct RoomIsPartial: Error, Sendable {}

/// Rooms of which the members are not known yet.
extension RoomReader {
    /// The state before an event as far as it is known: that after its previous events, or where one is not known, after the
    /// join by which this server came in; and what its auth events say of members of whom nothing is known.
    /// - Throws: `DatabaseError`, `CorruptState`, `ResolutionFailure`.
    func partialStateBefore(_ event: PDU, auth: [StoredEvent], in room: RoomRecord) async throws -> StateRoot {
        let members = auth.filter { $0.pdu.type == .member && $0.roomNID == room.nid && !$0.flags.contains(.rejected) }
        let numbers = try await numbers(of: members.compactMap { StateKey(of: $0.pdu) })
        let change: StateChange = try await database.read { connection in
            let log = log(connection)
            let prev = try log.events(ids: event.prevEvents)
            var roots = event.prevEvents.compactMap { id in
                prev[id].flatMap { $0.roomNID == room.nid ? $0.stateAfter : nil }
            }
            if roots.count < event.prevEvents.count, let partial = try PartialRoomStore(connection).room(room.nid),
                let root = try log.event(nid: partial.joinNID)?.stateAfter
            {
                roots.append(root)
            }
            let merged = try StateMerge(connection, sealer: sealer, states: states, events: events)
                .resolve(roots.isEmpty ? [room.state] : roots, version: room.version)
            let reader = StateReader(connection, states, pending: merged)
            let known = try reader.events(at: merged.root, keys: members.compactMap { StateKey(of: $0.pdu) })
            var learned: [Int64: Int64?] = [:]
            for member in members {
                guard let key = StateKey(of: member.pdu), known[key] == nil, let number = numbers[key] else { continue }
                learned[number] = member.nid
            }
            return try StateWriter(connection, states).applying(learned, to: merged)
        }
        if !change.isStored {
            try await database.groupedWrite { try StateWriter($0, states).store(change, room: room.nid) }
        }
        return change.root
    }

    /// Reads what needs all members of a room: `read` throws `RoomIsPartial` where they are not known yet, and is repeated
    /// until they are.
    /// - Throws: what `read` throws; `MatrixError` of status 503 when it takes too long.
    func whenWhole<R: Sendable>(
        _ clock: any ServerClock, _ read: @escaping @Sendable (any SQLConnection) throws -> R
    ) async throws -> R {
        let deadline = clock.monotonic() + RoomLimits.wholeStateWait
        while true {
            do { return try await database.read(read) } catch is RoomIsPartial {
                guard clock.monotonic() < deadline else {
                    throw MatrixError(.unknown, "The room's members are not all known yet", status: 503)
                }
                try await clock.sleep(for: RoomLimits.wholeStatePoll)
            }
        }
    }

    /// Waits until all members of a room are known.
    /// - Throws: `DatabaseError`; `MatrixError` of status 503 when it takes too long.
    func waitUntilWhole(_ room: RoomID, _ clock: any ServerClock) async throws {
        try await whenWhole(clock) { connection in
            if try RoomStore(connection).room(room)?.isPartial == true { throw RoomIsPartial() }
        }
    }
}

extension MatrixError {
    /// What cannot be told another server while the room's state is not known; it asks another then.
    /// Spec: none yet; MSC3895 has the code.
    static func partialState(status: Int) -> MatrixError {
        MatrixError(
            Code("ORG.MATRIX.MSC3895_UNABLE_DUE_TO_PARTIAL_STATE", status: status),
            "This server does not know all of the room's state yet")
    }
}
