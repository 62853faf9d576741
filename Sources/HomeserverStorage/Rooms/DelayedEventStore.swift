public import MatrixModel
public import SQLDatabase

/// Events that are to be sent later (MSC4140).
public struct DelayedEventStore {
    /// An event that waits.
    public struct Event: Sendable, Hashable {
        public var nid: Int64 = 0
        public var id: String
        public var user: UserID
        public var device: DeviceID?
        public var room: RoomID
        public var type: EventType
        /// Nil for an event that is no state.
        public var stateKey: String?
        /// JSON.
        public var content: [UInt8]
        /// Milliseconds.
        public var delay: Int64
        /// Milliseconds since 1970.
        public var sendAt: Int64
        /// The time the event is to show, where an application service set it.
        public var timestamp: Int64?
        /// For how long it is sticky, milliseconds.
        public var sticky: Int64?
        /// Until when whoever claimed it may send it: milliseconds since 1970; 0 for nobody.
        public fileprivate(set) var claimedUntil: Int64 = 0

        /// Makes an event that waits.
        public init(
            id: String, user: UserID, device: DeviceID?, room: RoomID, type: EventType, stateKey: String?,
            content: [UInt8], delay: Int64, sendAt: Int64, timestamp: Int64? = nil, sticky: Int64? = nil
        ) {
            (self.id, self.user, self.device, self.room) = (id, user, device, room)
            (self.type, self.stateKey, self.content) = (type, stateKey, content)
            (self.delay, self.sendAt, self.timestamp, self.sticky) = (delay, sendAt, timestamp, sticky)
        }
    }

    private let connection: any SQLConnection
    private let sealer: StorageSealer

    public init(_ connection: any SQLConnection, _ sealer: StorageSealer) {
        (self.connection, self.sealer) = (connection, sealer)
    }

    /// What a sealed content is bound to.
    static func context(_ id: String) -> String { "delayed:" + id }

    /// Keeps an event, unless its user has too many already: then the time at which the first of those goes.
    /// - Throws: `DatabaseError`, `StorageSealer.Failure`.
    public func add(_ event: Event, limit: Int) throws -> Int64? {
        let row = try connection.query(
            "SELECT COUNT(*), MIN(send_at) FROM delayed_events WHERE user_id = \(event.user.text)"
        ).first
        if let row, try row.int(0) >= limit { return try row.optionalInteger(1) ?? event.sendAt }
        let content = try sealer.seal(event.content, context: Self.context(event.id))
        try connection.execute(
            """
            INSERT INTO delayed_events (delay_id, user_id, device_id, room_id, type, state_key, content, delay, send_at,
            timestamp, sticky, claimed_until) VALUES (\(event.id), \(event.user.text), \(event.device?.text),
            \(event.room.text), \(StoredText.stored(event.type.text)), \(event.stateKey.map(StoredText.stored)),
            \(content), \(event.delay), \(event.sendAt), \(event.timestamp), \(event.sticky), 0)
            """)
        return nil
    }

    /// Lets an event wait anew. Returns when it is sent now; nil where there is none, or it is being sent.
    /// - Throws: `DatabaseError`.
    public func restart(_ id: String, now: Int64) throws -> Int64? {
        try connection.query(
            """
            UPDATE delayed_events SET send_at = \(now) + delay WHERE delay_id = \(id) AND claimed_until <= \(now)
            RETURNING send_at
            """
        ).first?.integer(0)
    }

    /// Takes an event back. Returns whether there was one that was not being sent.
    /// - Throws: `DatabaseError`.
    public func cancel(_ id: String, now: Int64) throws -> Bool {
        try connection.execute(
            "DELETE FROM delayed_events WHERE delay_id = \(id) AND claimed_until <= \(now)") == 1
    }

    /// Takes back what others would send for a state that somebody has set now.
    static func canceling(_ event: PDU) -> SQL? {
        guard let stateKey = event.stateKey, event.type != .create else { return nil }
        return """
            DELETE FROM delayed_events WHERE room_id = \(event.roomID.text)
            AND type = \(StoredText.stored(event.type.text)) AND state_key = \(StoredText.stored(stateKey))
            AND user_id <> \(event.sender.text)
            """
    }

    /// Takes the right to send one event; nil where there is none, or another has it.
    /// - Throws: `DatabaseError`; also of kind `.corrupt` when it cannot be read.
    public func claim(_ id: String, now: Int64, until: Int64) throws -> Event? {
        try connection.query(
            """
            UPDATE delayed_events SET claimed_until = \(until)
            WHERE delay_id = \(id) AND claimed_until <= \(now) RETURNING \(Self.columns)
            """
        ).first.map(event)
    }

    /// Takes the right to send what is due, the oldest first. One that cannot be read stays claimed, so that it keeps no other
    /// waiting, and is tried again when its claim is over.
    /// - Throws: `DatabaseError`.
    public func claimDue(now: Int64, until: Int64, limit: Int) throws -> [Event] {
        try connection.query(
            """
            UPDATE delayed_events SET claimed_until = \(until) WHERE delay_nid IN (
                SELECT delay_nid FROM delayed_events WHERE send_at <= \(now) AND claimed_until <= \(now)
                ORDER BY send_at, delay_nid LIMIT \(limit) \(raw: connection.dialect.forUpdateSkipLocked))
            RETURNING \(Self.columns)
            """
        ).compactMap { row in
            do { return try event(row) } catch let error as DatabaseError where error.kind == .corrupt { return nil }
        }.sorted { ($0.sendAt, $0.nid) < ($1.sendAt, $1.nid) }
    }

    /// When the next event is due, milliseconds since 1970; nil where none waits.
    /// - Throws: `DatabaseError`.
    public func nextDue() throws -> Int64? {
        // Few are claimed, so that neither index is walked far.
        let waiting = try connection.query(
            "SELECT send_at FROM delayed_events WHERE claimed_until <= send_at ORDER BY send_at LIMIT 1"
        ).first?.integer(0)
        let claimed = try connection.query(
            "SELECT MIN(claimed_until) FROM delayed_events WHERE claimed_until > 0 AND claimed_until > send_at"
        ).first?.optionalInteger(0)
        return [waiting, claimed].compactMap(\.self).min()
    }

    /// Forgets an event that was sent or cannot be, unless its claim ended and another sends it.
    /// - Throws: `DatabaseError`.
    public func remove(_ event: Event) throws {
        try connection.execute(
            "DELETE FROM delayed_events WHERE delay_nid = \(event.nid) AND claimed_until = \(event.claimedUntil)")
    }

    /// A user's events that wait, the next one first.
    /// - Throws: `DatabaseError`; also of kind `.corrupt` when one cannot be read.
    public func list(of user: UserID, now: Int64) throws -> [Event] {
        try connection.query(
            """
            SELECT \(Self.columns) FROM delayed_events WHERE user_id = \(user.text) AND claimed_until <= \(now)
            ORDER BY send_at, delay_nid
            """
        ).map(event)
    }

    private static let columns: SQL =
        """
        delay_nid, delay_id, user_id, device_id, room_id, type, state_key, content, delay, send_at, timestamp, sticky, \
        claimed_until
        """

    private func event(_ row: SQLRow) throws -> Event {
        let id = try row.text(1)
        guard let user = try? UserID(row.text(2)), let room = try? RoomID(row.text(4)),
            let type = try? EventType(StoredText.original(row.text(5))),
            let content = try? sealer.open(row.bytes(7), context: Self.context(id))
        else { throw DatabaseError(.corrupt, "a delayed event cannot be read") }
        var event = Event(
            id: id, user: user, device: try row.optionalText(3).flatMap { try? DeviceID($0) }, room: room, type: type,
            stateKey: try row.optionalText(6).map(StoredText.original), content: content, delay: try row.integer(8),
            sendAt: try row.integer(9), timestamp: try row.optionalInteger(10), sticky: try row.optionalInteger(11))
        event.nid = try row.integer(0)
        event.claimedUntil = try row.integer(12)
        return event
    }
}
