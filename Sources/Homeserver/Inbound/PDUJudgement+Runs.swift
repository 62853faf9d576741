internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Judging several events at once: those that follow one another and leave the state as it is, as a conversation does.
extension PDUJudgement {
    /// Judges events by the room's current state and writes them in one commit: from the first on as many as are allowed. For
    /// what is left there is `receive`.
    /// - Parameter run: events each of which `continues` those before it.
    /// - Returns: how many were written; 0 where it is not worth it.
    func receiveRun(_ run: [VerifiedPDU]) async throws -> Int {
        guard let first = run.first, run.count > 1, let room = try await reader.record(first.roomID), !room.isPartial,
            let before = try await reader.stateBefore(first.prevEvents, in: room), before == room.state
        else { return 0 }
        let rules = room.version.rules
        let policy = try await reader.policy(of: room)
        let ids = run.map(\.id) + Set(run.flatMap(\.authEvents))
        var keys = Set(run.flatMap { authEventKeys(for: $0.pdu) })
        keys.formUnion([StateKey(.create, ""), StateKey(.powerLevels, "")])
        let wanted = Array(keys)
        let (known, state) = try await environment.database.read { connection in
            let state = try reader.state(at: before, keys: wanted, in: connection)
            return (try reader.log(connection).events(ids: ids), RoomState(state.mapValues(\.pdu)))
        }
        guard let create = state.event(.create, "") else { return 0 }
        var judged: [JudgedPDU] = []
        for event in run.map(\.pdu) {
            let auth = event.authEvents.compactMap { known[$0] }
            let rejected = Set(auth.filter { $0.flags.contains(.rejected) }.map(\.id))
            guard known[event.id] == nil, auth.count == event.authEvents.count,
                Self.refusal(of: event, by: (auth, rejected), create, rules) == nil,
                (try? authorize(event, given: state, by: rules, create: create)) != nil,
                policy.map({ !RoomPolicy.covers(event.type, stateKey: event.stateKey) || $0.recommends(event) }) ?? true
            else { break }
            judged.append(self.judged(event, .accepted, at: before, in: room))
        }
        guard judged.count > 1 else { return 0 }
        try await writer.append(judged, to: room.id)
        return judged.count
    }

    /// Whether an event can be judged with those of `run`: it follows the last of them alone, and changes no state.
    static func continues(_ run: [VerifiedPDU], _ event: VerifiedPDU) -> Bool {
        guard !event.isState, event.type != .redaction, !event.prevEvents.isEmpty else { return false }
        return run.last.map { event.roomID == $0.roomID && event.prevEvents == [$0.id] } ?? true
    }
}
