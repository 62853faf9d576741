public import MatrixModel
public import SQLDatabase

/// The end of room keys. What goes with a session: which event used which of its indexes, and whether the backup has it. If
/// it comes again, from a backup perhaps, it is as new as it would be on another device.
extension EncryptionMachine {
    /// Forgets all keys of a room that our user has left for good, and what waits for them.
    public func forgetRoom(_ room: RoomID, in connection: any SQLConnection) throws {
        try discardRoomKey(of: room, in: connection)
        try connection.execute(
            """
            DELETE FROM key_request_recipients WHERE request_id IN (
                SELECT request_id FROM key_requests WHERE room_id = \(room.text))
            """)
        for table in [
            "inbound_group_sessions", "session_claims", "message_blocks", "owed_room_keys", "recent_messages",
            "shared_sessions", "received_withheld", "key_requests", "incoming_key_requests",
            "key_bundles", "accepted_invites", "unread_events",
        ] {
            try connection.execute("DELETE FROM \(raw: table) WHERE room_id = \(room.text)")
        }
        try forgetOldShares(in: connection)
    }

    /// Keeps the number of sessions within its bound. Those of rooms other than `rooms`, which we are in, go first; then
    /// those of the device that has given us the most, the oldest first: whoever floods us displaces itself. Of two the
    /// one that the backup has goes.
    /// - Returns: how many were forgotten.
    public func forgetExcessRoomKeys(keeping rooms: Set<RoomID>, in connection: any SQLConnection) throws -> Int {
        try forgetExcessRoomKeys(keeping: rooms, limit: Limits.inboundSessions, in: connection)
    }

    func forgetExcessRoomKeys(
        keeping rooms: Set<RoomID>, limit: Int, in connection: any SQLConnection
    ) throws -> Int {
        let count = try connection.query("SELECT COUNT(*) FROM inbound_group_sessions").first?.int(0) ?? 0
        guard count > limit else { return 0 }
        // Some room, so that it is not done again at once.
        let excess = count - limit + limit / 10
        for session in try sessionsByWorth(keeping: rooms, in: connection).prefix(excess) {
            for table in ["inbound_group_sessions", "session_claims", "message_blocks"] {
                try connection.execute(
                    "DELETE FROM \(raw: table) WHERE room_id = \(session.room) AND session_id = \(session.name)")
            }
            // Those of who only claimed it, under `SESSION USER`: "!" comes after the space.
            try connection.execute(
                """
                DELETE FROM message_blocks WHERE room_id = \(session.room)
                    AND session_id >= \(session.name + " ") AND session_id < \(session.name + "!")
                """)
        }
        return min(excess, count)
    }

    private struct Candidate {
        let room: String
        let name: String
        let isInUse: Bool
        let isBackedUp: Bool
        /// How many newer ones the same device has given us.
        let newer: Int
    }

    /// What is worth least first.
    private func sessionsByWorth(keeping rooms: Set<RoomID>, in connection: any SQLConnection) throws -> [Candidate] {
        let names = Set(rooms.map(\.text))
        var count: [String: Int] = [:]
        let rows = try connection.query(
            """
            SELECT room_id, session_id, curve25519, backed_up_in FROM inbound_group_sessions
            ORDER BY received_at DESC, session_id
            """)
        var candidates: [Candidate] = []
        candidates.reserveCapacity(rows.count)
        for row in rows {
            let (room, device) = (try row.text(0), try row.text(2))
            let newer = count[device, default: 0]
            count[device] = newer + 1
            candidates.append(
                Candidate(
                    room: room, name: try row.text(1), isInUse: names.contains(room),
                    isBackedUp: try row.optionalText(3) != nil, newer: newer))
        }
        return candidates.sorted { one, other in
            if one.isInUse != other.isInUse { return other.isInUse }
            if one.newer != other.newer { return one.newer > other.newer }
            return one.isBackedUp && !other.isBackedUp
        }
    }
}
