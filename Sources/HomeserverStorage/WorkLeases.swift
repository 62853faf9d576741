public import SQLDatabase

/// The right to do something that one node at a time does. It runs out, so that a node that died holds up nobody.
public struct WorkLeases {
    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Takes or keeps a right. On SQLite there is one node only, which has it.
    /// - Parameters:
    ///   - isShared: whether another process may be at work on SQLite too, such as a command line's.
    ///   - now: milliseconds since 1970, like `until`.
    /// - Throws: `DatabaseError`.
    public func take(
        _ name: String, holder: String, now: Int64, until: Int64, isShared: Bool = false
    ) throws -> Bool {
        if connection.dialect == .sqlite, !isShared { return true }
        return try connection.execute(
            """
            INSERT INTO room_leases (lane, holder, until) VALUES (\(Self.lane(name)), \(holder), \(until))
            ON CONFLICT (lane) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE room_leases.until <= \(now) OR room_leases.holder = \(holder)
            """) == 1
    }

    /// Gives a right back, where `holder` has it.
    /// - Throws: `DatabaseError`.
    public func release(_ name: String, holder: String) throws {
        try connection.execute("DELETE FROM room_leases WHERE lane = \(Self.lane(name)) AND holder = \(holder)")
    }

    private static func lane(_ name: String) -> String { "work " + name }
}
