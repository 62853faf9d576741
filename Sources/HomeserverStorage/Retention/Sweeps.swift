public import MatrixModel
public import SQLDatabase

/// Takes out rows that have outlived their use and that nothing else takes out, some at a time.
public struct Sweeps {
    /// Rows looked at in a step.
    public static let rowsPerStep = 200

    private let connection: any SQLConnection

    /// The tables as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: By time

    /// What has expired by itself: sessions and tokens, leases of nodes that died, who types. `now` in milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func expired(now: Int64) throws {
        let day: Int64 = 86_400_000
        try connection.executeAll([
            "DELETE FROM uia_sessions WHERE expires_ts <= \(now)",
            "DELETE FROM login_tokens WHERE expires_ts <= \(now)",
            "DELETE FROM openid_tokens WHERE expires_ts <= \(now)",
            "DELETE FROM registration_nonces WHERE expires_ts <= \(now)",
            "DELETE FROM token_buckets WHERE full_at < \((now - day) * 1_000)",
            // One that can be refreshed is kept: its refresh token does not expire.
            "DELETE FROM access_tokens WHERE expires_ts < \(now - 7 * day) AND refresh_hash IS NULL",
            "DELETE FROM room_leases WHERE until < \(now - day)",
            "DELETE FROM joining_rooms WHERE until < \(now - day)",
            "DELETE FROM typing WHERE until < \(now - day)",
            "DELETE FROM purge_jobs WHERE finished < \(now - 7 * day)",
        ])
    }

    /// What clients were told long ago: invites that were withdrawn, before a position of the stream `events`.
    /// - Throws: `DatabaseError`.
    public func withdrawnInvites(before position: Int64) throws {
        try connection.execute("DELETE FROM invites_withdrawn WHERE position < \(position)")
    }

    // MARK: By walking

    /// Messages that were rejected or soft-failed, before a time of their own: they are shown to nobody.
    /// - Parameter after: the number after which to look, 0 at first.
    /// - Returns: where the next step goes on; nil when all were looked at.
    /// - Throws: `DatabaseError`.
    public func withheldMessages(sentBefore time: Int64, after: Int64) throws -> Int64? {
        let rows = try connection.query(
            """
            SELECT event_nid, room_nid, event_id, origin_server_ts FROM events
            WHERE position IS NULL AND state_key IS NULL AND event_nid > \(after)
            ORDER BY event_nid LIMIT \(Self.rowsPerStep)
            """)
        var gone: [Int64: [Int64]] = [:]
        for row in rows where try row.integer(3) < time {
            let (nid, room) = (try row.integer(0), try row.integer(1))
            gone[room, default: []].append(nid)
            // An event that counts may follow it.
            try connection.execute(
                """
                INSERT INTO backward_extremities (room_nid, event_id, purged) VALUES (\(room), \(row.text(2)), 2)
                ON CONFLICT (room_nid, event_id) DO NOTHING
                """)
        }
        for (room, nids) in gone {
            try connection.executeAll(EventRemoval.statements(for: nids, room: room))
            try EventRemoval.notify(nids, connection)
        }
        return rows.count == Self.rowsPerStep ? try rows.last?.integer(0) : nil
    }

    /// Device lists of other servers' users who share no room with ours: nobody tells of their changes, so they are asked for
    /// anew anyway. Their changes go too, where clients were told long ago.
    /// - Parameters:
    ///   - server: ours.
    ///   - told: a position of the stream `device_lists`.
    ///   - after: the user after whom to look, empty at first.
    /// - Returns: where the next step goes on; nil when all were looked at.
    /// - Throws: `DatabaseError`.
    public func deviceLists(sharingWith server: ServerName, told: Int64, after: String) throws -> String? {
        let users = try connection.query(
            """
            SELECT user_id FROM remote_device_lists WHERE user_id > \(after)
            UNION SELECT user_id FROM device_list_changes WHERE user_id > \(after)
            ORDER BY user_id LIMIT \(Self.rowsPerStep)
            """
        ).map { try $0.text(0) }
        let devices = RemoteDeviceStore(connection)
        for text in users {
            guard let user = try? UserID(text), user.serverName != server else { continue }
            if try devices.isTracked(user, sharingWith: server) { continue }
            try connection.executeAll([
                "DELETE FROM remote_devices WHERE user_id = \(text)",
                "DELETE FROM remote_device_lists WHERE user_id = \(text)",
                "DELETE FROM device_list_changes WHERE user_id = \(text) AND position < \(told)",
            ])
        }
        return users.count == Self.rowsPerStep ? users.last : nil
    }

    /// Servers for which nothing waits, which are in no room of ours, and which did not answer for long.
    /// - Parameters:
    ///   - time: those to be tried again before it.
    ///   - after: the server after which to look, empty at first.
    /// - Returns: where the next step goes on; nil when all were looked at.
    /// - Throws: `DatabaseError`.
    public func deadDestinations(retriedBefore time: Int64, after: String) throws -> String? {
        let names = try connection.query(
            """
            SELECT destination FROM destinations WHERE destination > \(after) ORDER BY destination
            LIMIT \(Self.rowsPerStep)
            """
        ).map { try $0.text(0) }
        guard let last = names.last else { return nil }
        try connection.execute(
            """
            DELETE FROM destinations WHERE destination IN \(list: names)
            AND failures > 0 AND retry_at < \(time) AND lease_until < \(time)
            AND NOT EXISTS (SELECT 1 FROM destination_rooms r WHERE r.destination = destinations.destination)
            AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.destination = destinations.destination)
            AND NOT EXISTS (SELECT 1 FROM outbox_edus e WHERE e.destination = destinations.destination)
            """)
        return names.count == Self.rowsPerStep ? last : nil
    }

    /// Signing keys of servers that are in no room here, now or before, and were not asked for lately.
    /// - Parameters:
    ///   - fetched: those fetched before this time.
    ///   - servers: all servers of members of rooms.
    ///   - after: the server after which to look, empty at first.
    /// - Returns: where the next step goes on; nil when all were looked at.
    /// - Throws: `DatabaseError`.
    public func serverKeys(fetchedBefore fetched: Int64, except servers: Set<String>, after: String) throws -> String? {
        let names = try connection.query(
            """
            SELECT server FROM server_keys WHERE server > \(after)
            UNION SELECT server FROM server_key_answers WHERE server > \(after)
            ORDER BY server LIMIT \(Self.rowsPerStep)
            """
        ).map { try $0.text(0) }
        let gone = names.filter { !servers.contains($0) }
        if !gone.isEmpty {
            for table in ["server_keys", "server_key_answers"] {
                try connection.execute(
                    "DELETE FROM \(raw: table) WHERE server IN \(list: gone) AND fetched < \(fetched)")
            }
        }
        return names.count == Self.rowsPerStep ? names.last : nil
    }

    /// The servers of all who are or were members of some rooms.
    /// - Throws: `DatabaseError`.
    public func servers(ofRooms rooms: [Int64]) throws -> Set<String> {
        guard !rooms.isEmpty else { return [] }
        return Set(
            try connection.query("SELECT DISTINCT server FROM room_members WHERE room_nid IN \(list: rooms)")
                .map { try $0.text(0) })
    }

    /// Receipts of members who left some rooms, before a position of the stream `events`.
    /// - Throws: `DatabaseError`.
    public func receipts(ofRooms rooms: [Int64], leftBefore position: Int64) throws {
        guard !rooms.isEmpty else { return }
        try connection.execute(
            """
            DELETE FROM receipts WHERE room_nid IN \(list: rooms) AND EXISTS (
                SELECT 1 FROM room_members m WHERE m.room_nid = receipts.room_nid AND m.user_id = receipts.user_id
                AND m.membership IN ('leave', 'ban') AND m.position < \(position))
            """)
    }

    /// The numbers of the next rooms.
    /// - Throws: `DatabaseError`.
    public func rooms(after nid: Int64, limit: Int) throws -> [Int64] {
        try connection.query(
            "SELECT room_nid FROM rooms WHERE room_nid > \(nid) ORDER BY room_nid LIMIT \(limit)"
        ).map { try $0.integer(0) }
    }
}
