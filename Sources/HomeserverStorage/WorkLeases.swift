public import SQLDatabase

/// The right to do something that one node at a time does. It runs out, so that a node that died holds up nobody.
public struct WorkLeases {
    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Takes or keeps a right. On SQLite there is one node only, which has it.
    /// - Parameters:
    ///   - now: milliseconds since 1970, like `until`.
    /// - Throws: `DatabaseError`.
    public func take(_ name: String, holder: String, now: Int64, until: Int64) throws -> Bool {
        if connection.dialect == .sqlite { return true }
        return try connection.execute(
            """
            INSERT INTO room_leases (lane, holder, until) VALUES (\("work " + name), \(holder), \(until))
            ON CONFLICT (lane) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE room_leases.until <= \(now) OR room_leases.holder = \(holder)
            """) == 1
    }
}
