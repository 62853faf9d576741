public import SQLDatabase

/// The rooms that an e-mail pusher told of lately, which cause no mail for a while.
public struct MailPauseStore {
    /// How long a room causes no mail.
    public struct Pause: Sendable {
        /// Milliseconds.
        public var length: Int64
        /// Milliseconds since 1970.
        public var until: Int64

        public init(length: Int64, until: Int64) {
            self.length = length
            self.until = until
        }
    }

    private let connection: any SQLConnection

    /// The pauses as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// A pusher's pauses, by room.
    /// - Throws: `DatabaseError`.
    public func pauses(of pusher: Int64) throws -> [Int64: Pause] {
        var found: [Int64: Pause] = [:]
        for row in try connection.query(
            "SELECT room_nid, pause, until FROM push_mail_pauses WHERE pusher_nid = \(pusher)")
        {
            found[try row.integer(0)] = Pause(length: try row.integer(1), until: try row.integer(2))
        }
        return found
    }

    /// Notes a pause.
    /// - Throws: `DatabaseError`.
    public func set(_ pause: Pause, pusher: Int64, room: Int64) throws {
        try connection.execute(
            """
            INSERT INTO push_mail_pauses (pusher_nid, room_nid, pause, until)
            VALUES (\(pusher), \(room), \(pause.length), \(pause.until))
            ON CONFLICT (pusher_nid, room_nid) DO UPDATE SET pause = excluded.pause, until = excluded.until
            """)
    }

    /// Forgets pauses that ended before a time, milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func forget(before time: Int64) throws {
        try connection.execute("DELETE FROM push_mail_pauses WHERE until < \(time)")
    }
}
