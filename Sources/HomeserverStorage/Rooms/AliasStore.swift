public import MatrixModel
public import SQLDatabase

/// The room aliases of this server.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-aliases>
public struct AliasStore {
    private let connection: any SQLConnection

    /// The aliases as this transaction sees them.
    public init(_ connection: any SQLConnection) {
        self.connection = connection
    }

    /// Which room an alias names, and who made it; nil when there is no such alias.
    /// - Throws: `DatabaseError`.
    public func target(of alias: RoomAlias) throws -> (room: RoomID, creator: UserID)? {
        guard
            let row = try connection.query(
                "SELECT room_id, creator FROM room_aliases WHERE alias = \(alias.text)"
            ).first
        else { return nil }
        guard let room = try? RoomID(row.text(0)), let creator = try? UserID(row.text(1)) else {
            throw DatabaseError(.corrupt, "an alias's row cannot be read")
        }
        return (room, creator)
    }

    /// The local aliases of a room, in the order of their bytes.
    /// - Throws: `DatabaseError`.
    public func aliases(of room: RoomID) throws -> [RoomAlias] {
        try connection.query("SELECT alias FROM room_aliases WHERE room_id = \(room.text)")
            .compactMap { try? RoomAlias($0.text(0)) }.sorted()
    }

    /// Makes an alias.
    /// - Returns: false when there is one of that name.
    /// - Throws: `DatabaseError`.
    public func add(_ alias: RoomAlias, room: RoomID, creator: UserID) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO room_aliases (alias, room_id, creator)
            VALUES (\(alias.text), \(room.text), \(creator.text)) ON CONFLICT (alias) DO NOTHING
            """) == 1
    }

    /// Removes an alias.
    /// - Returns: whether there was one.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func remove(_ alias: RoomAlias) throws -> Bool {
        try connection.execute("DELETE FROM room_aliases WHERE alias = \(alias.text)") == 1
    }
}
