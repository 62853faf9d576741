internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The answer to `send_join`: the room's state before the join, whole or without its members.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid>
extension JoinAnswering {
    func join(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        let mayOmitMembers = try request.queryBoolean("omit_members")
        let room = try await room(request.roomID(), origin)
        let omitsMembers = mayOmitMembers ? try await hasManyMembers(room) : false
        let pdu = try await membershipEvent(request, room, origin, .join)
        let servers = omitsMembers ? try await reader.joinedServers(room) : []
        let (event, before) = try await accept(pdu, room)
        let state: [StoredEvent]
        var chain: [StoredEvent]
        if omitsMembers {
            state = try await stateWithoutMembers(at: before, room, for: pdu.sender)
            // What is in the state need not be in the auth chain too.
            let told = Set(state.map(\.nid))
            chain = try await serving.authChain(of: state + [event]).filter { !told.contains($0.nid) }
        } else {
            state = Array(try await reader.state(at: before).values)
            chain = try await serving.authChain(of: state + [event])
        }
        return .json { writer in
            writer.beginObject()
            writer.key("auth_chain")
            RoomServing.write(chain, into: &writer)
            writer.key("event")
            writer.raw(event.pdu.canonicalJSON)
            writer.key("members_omitted")
            writer.bool(omitsMembers)
            writer.key("origin")
            writer.string(environment.serverName.text)
            if omitsMembers {
                writer.key("servers_in_room")
                writer.beginArray()
                for server in servers { writer.string(server.text) }
                writer.endArray()
            }
            writer.key("state")
            RoomServing.write(state, into: &writer)
            writer.endObject()
        }
    }

    /// Whether a room's members are left out: of few, telling them takes less than having them asked for.
    private func hasManyMembers(_ room: RoomRecord) async throws -> Bool {
        let counts = try await environment.database.read { try RoomStore($0).memberCounts(room: room.nid) }
        return counts.values.reduce(0, +) > RoomLimits.membersAlwaysTold
    }

    /// A room's state without its members, but for those who stand for the name of a room that has none.
    private func stateWithoutMembers(
        at root: StateRoot, _ room: RoomRecord, for user: UserID
    ) async throws -> [StoredEvent] {
        try await environment.database.read { connection in
            let states = StateReader(connection, reader.states)
            let log = reader.log(connection)
            let nids = try states.all(at: root).filter { $0.key.type != .member }.map(\.value)
            var state = Array(try reader.events.events(nids, from: log).values)
            guard !state.contains(where: { RoomSummaries.isName($0.pdu) }) else { return state }
            let heroes = try SyncRooms(connection).heroes(room: room.nid, for: user, limit: SyncLimits.heroes)
            let members = try states.events(at: root, keys: heroes.map { StateKey(.member, $0.text) })
            state += try reader.events.events(Array(members.values), from: log).values
            return state
        }
    }
}
