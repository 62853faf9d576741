internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// State among the events that are given as history. As part of a state it is given whole to whoever may ask for that.
extension RoomServing {
    /// What authorization reads of state. Not all of it survives a redaction in all room versions.
    private static let authorizing: [EventType: [String]] = [
        .create: ["creator", "room_version", "m.federate", "additional_creators"],
        .member: ["membership", "join_authorised_via_users_server", "third_party_invite"],
        .powerLevels: ["invite", "notifications"],
        .joinRules: ["join_rule", "allow"],
        .thirdPartyInvite: ["public_key", "public_keys"],
    ]

    /// Whether an event that a server could not see is given whole all the same: as part of the room's state, which the server
    /// is told anyway and would keep redacted; or because others would judge by it otherwise than all.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func staysWhole(_ event: StoredEvent, _ redacted: PDU) async throws -> Bool {
        guard let key = StateKey(of: event.pdu) else { return false }
        let read = Self.authorizing[event.pdu.type] ?? []
        if read.contains(where: { event.pdu.content[$0] != nil && redacted.content[$0] == nil }) { return true }
        guard let room = try await reader.record(event.pdu.roomID) else { return false }
        return try await reader.state(at: room.state, keys: [key])[key]?.nid == event.nid
    }

    /// Whether an event tells what a user of a server is in the room.
    func isMembership(_ event: PDU, of server: ServerName) -> Bool {
        event.type == .member && event.stateKey.flatMap { try? UserID($0) }?.serverName == server
    }
}
