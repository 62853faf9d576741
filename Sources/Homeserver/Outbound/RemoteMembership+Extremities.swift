internal import Federation
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// What a server that comes back into a room knows and the resident does not: words of its own, said while the two were parted,
/// that came to others when these were out of the room. Nobody would name them again, if it did not.
extension RemoteMembership {
    /// A room's newest events before a join.
    struct Extremities: Sendable {
        /// Those that the join follows, by what the resident says.
        var followed: Set<EventID> = []
        /// Those that the resident does not have.
        var loose: Set<EventID> = []
    }

    /// The newest events of a room as it was known before a join. The resident is asked whether it has them; where it cannot
    /// say, they count as loose, since to follow an event twice does no harm.
    /// - Throws: `M_UNKNOWN` where the database is out of order.
    func extremities(before join: PDU, at server: ServerName) async throws(MatrixError) -> Extremities {
        let reader = imports.writer.reader
        let ends: [EventID]
        do {
            // A state that is known in part, or assumed, cannot be merged with that of the join.
            guard let record = try await reader.record(join.roomID), !record.isPartial else { return Extremities() }
            ends = try await environment.database.read { connection in
                try reader.log(connection).prevEvents(among: record.extremities, limit: RoomLimits.prevEvents)
                    .filter { $0.flags.isDisjoint(with: [.partialState, .assumedState]) }.map(\.id)
            }
        } catch { throw .unknown }
        let named = Set(join.prevEvents + join.authEvents)
        var extremities = Extremities(followed: named.intersection(ends))
        let client = client
        let time = Duration.milliseconds(environment.configuration.timeouts.keyFetch)
        await withTaskGroup(of: (EventID, Bool).self) { group in
            for id in ends where !named.contains(id) {
                group.addTask {
                    do throws(FederationError) {
                        _ = try await client.json(APICall(.getEvent, ["eventId": id.text]), at: server, timeout: time)
                        return (id, true)
                    } catch {
                        // Who is not in the room is not shown what there is, but told apart what there is not.
                        if case .refused(403, _) = error { return (id, true) }
                        return (id, false)
                    }
                }
            }
            for await (id, isKnown) in group {
                if isKnown { extremities.followed.insert(id) } else { extremities.loose.insert(id) }
            }
        }
        return extremities
    }

    /// Tells those in a room what was newest of ours before this server came back.
    /// - Throws: `DatabaseError`.
    func tellEnds(of room: RoomID) async throws {
        guard let record = try await imports.writer.reader.record(room) else { return }
        let servers = try await imports.writer.reader.joinedServers(record)
        try await imports.writer.sendEnds(of: room, to: servers)
    }
}
