internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// A room's session after a gap in the sync. A message of ours may lie in the gap that this store knows nothing of, if it was
/// put back to an earlier state: then the session's next index has been used already. Until that is settled nothing is
/// encrypted with it.
extension EncryptionMachine {
    /// A gap in `room` ends at the pagination token `end`. Where a gap before has not been looked at yet, or none can be,
    /// the session is given up at once.
    public func doubtRoomKey(of room: RoomID, before end: String?, in connection: any SQLConnection) throws {
        guard let end, end.utf8.count <= 4_096, try doubt(about: room, in: connection) == nil else {
            return try discardRoomKey(of: room, in: connection)
        }
        try connection.execute(
            "UPDATE outbound_group_sessions SET doubted_before = \(end) WHERE room_id = \(room.text)")
    }

    /// The pagination token from which our own messages are to be read backwards; nil where there is nothing to settle.
    public func doubt(about room: RoomID, in connection: any SQLConnection) throws -> String? {
        try connection.query("SELECT doubted_before FROM outbound_group_sessions WHERE room_id = \(room.text)").first?
            .optionalText(0)
    }

    /// Takes one of our own messages of the gap, the newest first. The newest of this session settles it: either this store
    /// has encrypted it, or the session is given up; and so does one that is older than the session by more than clocks
    /// differ.
    /// - Returns: whether it is settled.
    public func settleDoubt(
        about room: RoomID, by event: JSONView, in connection: any SQLConnection
    ) throws -> Bool {
        guard let present = try outbound(room, in: connection), event["sender"]?.string == user.text else {
            return false
        }
        guard let session = event["content", "session_id"]?.string, session == present.session.id,
            let ciphertext = event["content", "ciphertext"]?.string.flatMap({ Base64.decode($0) }),
            let index = (try? MegolmMessage(ciphertext))?.index
        else {
            guard let sentAt = event["origin_server_ts"]?.integer,
                sentAt < present.createdAt - Limits.clockSkewMilliseconds
            else { return false }
            try trustRoomKey(of: room, in: connection)
            return true
        }
        if index < present.session.messageIndex {
            try trustRoomKey(of: room, in: connection)
        } else {
            try noteOwnEvent(event, in: room, after: [], connection)
            // Also if it is not ours: a message that does not fit proves nothing.
            try discardRoomKey(of: room, in: connection)
        }
        return true
    }

    /// Nothing of ours is in the gap.
    public func trustRoomKey(of room: RoomID, in connection: any SQLConnection) throws {
        try connection.execute(
            "UPDATE outbound_group_sessions SET doubted_before = NULL WHERE room_id = \(room.text)")
    }
}
