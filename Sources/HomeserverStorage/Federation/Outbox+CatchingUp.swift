internal import MatrixModel
internal import SQLDatabase

/// What a destination is sent that fell behind.
extension Outbox {
    /// Memberships of a user, one before the other, among which what took it out of a room is looked for.
    private static let membershipsLookedAt = 10

    /// What a destination that fell behind is sent: the newest event of each room that it lacks events of, and what took its
    /// users out of the rooms before; oldest first.
    /// - Parameter position: what it has up to here it has.
    /// - Throws: `DatabaseError`, or what the sealer throws.
    public func missed(
        by destination: String, after position: Int64, limit: Int, sealer: StorageSealer
    ) throws -> [PendingPDU] {
        let newest = try roomsToCatchUp(destination, after: position, limit: limit)
        let removals = try removals(
            before: newest, of: destination, after: position, in: EventLog(connection, sealer))
        return Array((newest + removals).sorted { $0.position < $1.position }.prefix(limit))
    }

    /// A membership and what took its user out of the room before, oldest first; those of a position of which the destination
    /// may ask.
    /// - Throws: `DatabaseError`, or what the sealer throws.
    public func removal(
        _ membership: PendingPDU, of destination: String, sealer: StorageSealer
    ) throws -> [PendingPDU] {
        try (removals(before: [membership], of: destination, after: 0, in: EventLog(connection, sealer)) + [membership])
            .sorted { $0.position < $1.position }
    }

    /// The rooms of which a destination that fell behind lacks events, oldest first: the newest event of each.
    public func roomsToCatchUp(
        _ destination: String, after position: Int64, limit: Int
    ) throws -> [PendingPDU] {
        try connection.query(
            """
            SELECT r.position, e.event_nid FROM destination_rooms r
            JOIN events e ON e.room_nid = r.room_nid AND e.position = r.position
            WHERE r.destination = \(destination) AND r.position > \(position) ORDER BY r.position LIMIT \(limit)
            """
        ).map { PendingPDU(position: try $0.integer(0), eventNID: try $0.integer(1)) }
    }

    /// What took a destination's users out of rooms before newer memberships of theirs. Out of the room it may ask about what
    /// ended its part in it, and about nothing later: an unban alone would tell it nothing.
    private func removals(
        before pdus: [PendingPDU], of destination: String, after position: Int64, in log: EventLog
    ) throws -> [PendingPDU] {
        var found: [PendingPDU] = []
        var newer = try log.events(nids: pdus.map(\.eventNID)).values.filter { $0.position ?? 0 > position }
        for _ in 0..<Self.membershipsLookedAt where !newer.isEmpty {
            let replaced = newer.filter { event in
                event.pdu.type == .member && event.pdu.sender.serverName.text != destination
                    && event.pdu.stateKey.flatMap { try? UserID($0) }?.serverName.text == destination
            }.compactMap(\.replaces)
            newer = try log.events(nids: replaced).values.filter { event in
                event.position ?? 0 > position && event.pdu.sender.serverName.text != destination
            }
            found += newer.compactMap { event in
                event.position.map { PendingPDU(position: $0, eventNID: event.nid) }
            }
        }
        return found
    }
}
