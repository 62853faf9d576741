internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What becomes of a room's state and members when its newest events change, as one transaction sees it.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#room-state-resolution>
struct HeadMerge {
    let reader: RoomReader
    let connection: any SQLConnection
    /// The room before the change.
    let room: RoomRecord

    private var log: EventLog { reader.log(connection) }

    /// The state that the states after `extremities` resolve to.
    ///
    /// Where these are more than `RoomLimits.statesResolved`, the current state and the newest are resolved instead: whoever
    /// makes thousands of forks must not make each next event cost as many states. All is well again when the forks are
    /// merged, which each event of ours does with 20 of them.
    /// - Parameters:
    ///   - current: the state before, made from the same extremities but for the newest event.
    ///   - newest: the state after the newest event.
    ///   - pending: states that are not stored yet; the answer holds its nodes too.
    ///   - unstored: events that are not in the log yet, by number.
    func state(
        after extremities: [Int64], current: StateRoot, newest: StateRoot, pending: StateChange,
        unstored: [Int64: StoredEvent]
    ) throws -> StateChange {
        let stored = try reader.events.events(extremities.filter { unstored[$0] == nil }, from: log)
        var roots = Set(extremities.compactMap { (unstored[$0] ?? stored[$0])?.stateAfter })
        if roots.count > RoomLimits.statesResolved { roots = [current, newest] }
        return try StateMerge(connection, sealer: reader.sealer, states: reader.states, events: reader.events)
            .resolve(Array(roots), version: room.version, pending: pending, unstored: unstored)
    }

    /// The memberships that differ between the room's state and a new one.
    func members(in new: StateChange, unstored: [Int64: StoredEvent]) throws -> [MemberChange] {
        let states = StateReader(connection, reader.states, pending: new)
        let changes = try states.difference(from: room.state, to: new.root).filter { $0.key.type == .member }
        let stored = try reader.events.events(
            Set(changes.compactMap(\.new)).subtracting(unstored.keys), from: log)
        return changes.compactMap { change in
            guard let user = try? UserID(change.key.stateKey) else { return nil }
            let event = change.new.flatMap { unstored[$0] ?? stored[$0] }
            return MemberChange(user: user, event: event.map { ($0.nid, $0.pdu) })
        }
    }
}
