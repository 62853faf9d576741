internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What somebody who is invited to a room here, or knocks on it, sees of it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#stripped-state>
struct InvitePreview {
    /// The invite or knock.
    let member: StoredEvent
    /// State events of the room, the membership last.
    let events: [StoredEvent]

    /// - Returns: nil when the membership event cannot be read.
    /// - Throws: `DatabaseError`, `CorruptState`.
    init?(_ room: SyncRoom, _ rooms: RoomReader, _ connection: any SQLConnection) throws {
        guard let member = try rooms.events.events([room.memberNID], from: rooms.log(connection))[room.memberNID]
        else { return nil }
        self.member = member
        let keys = StrippedState.types.map { StateKey($0, "") } + [StateKey(.member, member.pdu.sender.text)]
        let found = try rooms.state(at: member.stateAfter ?? room.state, keys: keys, in: connection)
        events = keys.compactMap { found[$0] }.filter { $0.nid != member.nid } + [member]
    }
}
