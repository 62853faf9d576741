internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
public import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What happens to an account happens in all of its rooms.
extension MembershipEditing: ProfilePropagating, RoomDeparting {
    /// Sends the new display name and avatar to the rooms the user is joined to.
    public func profileChanged(of user: UserID, displayname: String?, avatarURL: String?) async {
        let rooms = (try? await rooms(of: user, [.join])) ?? []
        for room in rooms {
            do {
                guard let record = try await writer.reader.record(room),
                    let current = try await writer.reader.stateEvent(record, .member, user.text)
                else { continue }
                var content = JSONValue(current.pdu.content)
                content["displayname"] = displayname.map { .string($0) }
                content["avatar_url"] = avatarURL.map { .string($0) }
                content["join_authorised_via_users_server"] = nil
                content["reason"] = nil
                try await set(content, of: user, by: user, in: room)
            } catch {
                writer.environment.logger.info(
                    "a profile did not reach a room", metadata: ["room": "\(room)", "cause": "\(error)"])
            }
        }
    }

    /// Takes a user out of all rooms: joined, invited, knocking.
    public func leaveAllRooms(_ user: UserID) async {
        var rooms = (try? await rooms(of: user, [.join, .invite, .knock])) ?? []
        let sealer = writer.environment.sealer
        let invites = try? await writer.environment.database.read {
            try RoomStore($0).invites(of: user, sealer: sealer).map(\.roomID)
        }
        rooms += invites ?? []
        for room in rooms {
            do {
                try await leave(room, as: user)
            } catch {
                writer.environment.logger.info(
                    "a user could not leave a room", metadata: ["room": "\(room)", "cause": "\(error)"])
            }
        }
    }

    private func rooms(of user: UserID, _ memberships: [Membership]) async throws -> [RoomID] {
        try await writer.environment.database.read { connection in
            let store = RoomStore(connection)
            return try memberships.flatMap { try store.memberships(of: user, $0).map(\.roomID) }
        }
    }
}
