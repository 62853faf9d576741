public import SQLDatabase

/// Seals again, under the key that seals now, what was sealed under another or not at all: in the background, some rows at a
/// time, so that an old key may leave the key file at last.
public struct Resealing {
    /// Rows of one step.
    public static let rowsPerStep = 200

    /// A column that is sealed, and how its rows are found in an order.
    private struct Place {
        var name: String
        var column: String
        /// A number that orders the rows and is never taken twice.
        var order: String
        /// The columns from which the context is made, and that tell the row.
        var keys: [String]
        var context: @Sendable ([String]) -> String
    }

    private static let places: [Place] = [
        Place(name: "events", column: "body", order: "event_nid", keys: ["event_id"]) { "event:" + $0[0] },
        Place(
            name: "to_device_messages", column: "body", order: "position", keys: ["user_id", "device_id"]
        ) { _ in "to-device" },
        Place(name: "account_data", column: "content", order: "position", keys: ["user_id", "room_id", "type"]) {
            AccountDataStore.context($0[0])
        },
        Place(name: "invites_received", column: "event", order: "position", keys: ["user_id", "room_id"]) {
            RoomStore.inviteContext($0[0], $0[1], "event")
        },
        Place(name: "invites_received", column: "stripped_state", order: "position", keys: ["user_id", "room_id"]) {
            RoomStore.inviteContext($0[0], $0[1], "state")
        },
        Place(name: "inbound_staging", column: "body", order: "staged_nid", keys: ["event_id"]) {
            InboundStaging.context($0[0])
        },
        Place(name: "outbox_edus", column: "body", order: "edu_nid", keys: ["destination"]) {
            Outbox.context($0[0])
        },
        Place(name: "delayed_events", column: "content", order: "delay_nid", keys: ["delay_id"]) {
            DelayedEventStore.context($0[0])
        },
        Place(name: "reports", column: "reason", order: "report_nid", keys: ["reporter"]) {
            ReportStore.context($0[0])
        },
    ]

    private let connection: any SQLConnection
    private let sealer: StorageSealer

    public init(_ connection: any SQLConnection, _ sealer: StorageSealer) {
        self.connection = connection
        self.sealer = sealer
    }

    /// Whether every row is sealed under the key that seals now, so that older keys may go. All rows are looked at: a node
    /// that still had the old key first may have written some behind what was done. For such a place all is done again.
    public func isDone() throws -> Bool {
        var isDone = true
        let marker = sealer.currentMarker
        for place in Self.places {
            guard try progress(of: place).done else {
                isDone = false
                continue
            }
            let stale = try connection.query(
                """
                SELECT 1 FROM \(raw: place.name)
                WHERE SUBSTR(\(raw: place.column), 1, CAST(\(marker.count) AS INTEGER)) <> \(marker) LIMIT 1
                """)
            guard !stale.isEmpty else { continue }
            try save(place, position: 0, done: false)
            isDone = false
        }
        return isDone
    }

    /// Reseals some rows. Returns whether there may be more.
    public func step() throws -> Bool {
        for place in Self.places {
            let progress = try progress(of: place)
            if progress.done { continue }
            let keys = place.keys.joined(separator: ", ")
            let rows = try connection.query(
                """
                SELECT \(raw: place.order), \(raw: place.column), \(raw: keys) FROM \(raw: place.name)
                WHERE \(raw: place.order) > \(progress.position) ORDER BY \(raw: place.order) LIMIT \(Self.rowsPerStep)
                """)
            var position = progress.position
            for row in rows {
                position = try row.integer(0)
                let value = try row.bytes(1)
                guard sealer.isStale(value) else { continue }
                let names = try place.keys.indices.map { try row.text(2 + $0) }
                let context = place.context(names)
                let sealed = try sealer.seal(sealer.open(value, context: context), context: context)
                var statement: SQL = """
                    UPDATE \(raw: place.name) SET \(raw: place.column) = \(sealed)
                    WHERE \(raw: place.order) = \(position) AND \(raw: place.column) = \(value)
                    """
                for (key, name) in zip(place.keys, names) { statement += " AND \(raw: key) = \(name)" }
                _ = try connection.execute(statement)
            }
            try save(place, position: position, done: rows.count < Self.rowsPerStep)
            return true
        }
        return false
    }

    private func progress(of place: Place) throws -> (position: Int64, done: Bool) {
        let row = try connection.query(
            "SELECT key_id, position, done FROM resealing WHERE place = \(place.name + "." + place.column)"
        ).first
        guard let row, try row.text(0) == sealer.currentKeyID ?? "" else { return (0, false) }
        return (try row.integer(1), try row.integer(2) != 0)
    }

    private func save(_ place: Place, position: Int64, done: Bool) throws {
        _ = try connection.execute(
            """
            INSERT INTO resealing (place, key_id, position, done)
            VALUES (\(place.name + "." + place.column), \(sealer.currentKeyID ?? ""), \(position), \(done))
            ON CONFLICT (place) DO UPDATE SET key_id = excluded.key_id, position = excluded.position,
                done = excluded.done
            """)
    }
}
