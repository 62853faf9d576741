internal import MatrixModel
internal import SQLDatabase

/// An index of a Megolm session belongs to the event that used it first, whatever half of the session is known: also after
/// a better one came from a backup. This is kept as long as the session is.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mmegolmv1aes-sha2>
extension EncryptionMachine {
    /// Binds the index to the event. Throws `replayed` if it is another event's, or lies so far back in a session without
    /// end that this is not known any more.
    func bind(
        _ index: UInt32, of session: String, _ room: RoomID, to event: EventID, in connection: any SQLConnection
    ) throws {
        let (block, name) = (Int64(index) / Limits.indexesPerBlock, "\(index)")
        let row = try connection.query(
            """
            SELECT events FROM message_blocks
            WHERE room_id = \(room.text) AND session_id = \(session) AND block = \(block)
            """
        ).first
        guard let row else {
            try begin(block, of: session, room, with: [name: .string(event.text)], in: connection)
            return
        }
        var events = try JSONValue.parse(Array(try row.text(0).utf8))
        if let known = events[name]?.string {
            guard known == event.text else { throw EncryptionError.replayed }
            return
        }
        events[name] = .string(event.text)
        try connection.execute(
            """
            UPDATE message_blocks SET events = \(String(decoding: events.serialized(), as: UTF8.self))
            WHERE room_id = \(room.text) AND session_id = \(session) AND block = \(block)
            """)
    }

    private func begin(
        _ block: Int64, of session: String, _ room: RoomID, with events: [String: JSONValue],
        in connection: any SQLConnection
    ) throws {
        // The last block that stays beside the new one.
        let oldest = try connection.query(
            """
            SELECT block FROM message_blocks WHERE room_id = \(room.text) AND session_id = \(session)
            ORDER BY block DESC LIMIT 1 OFFSET \(Limits.blocksPerSession - 1)
            """
        ).first?.integer(0)
        if let oldest {
            // What was in the blocks given up is not known: no index of theirs is read again.
            guard block > oldest else { throw EncryptionError.replayed }
            try connection.execute(
                """
                DELETE FROM message_blocks
                WHERE room_id = \(room.text) AND session_id = \(session) AND block <= \(oldest)
                """)
        }
        let text = String(decoding: JSONValue.object(events).serialized(), as: UTF8.self)
        try connection.execute(
            "INSERT INTO message_blocks VALUES (\(room.text), \(session), \(block), \(text))")
    }
}
