public import SQLDatabase

/// Gives out the numbers of rooms and events in blocks, each taken once for ever; a crash wastes what was left.
public struct NumberBlocks {
    /// What is numbered.
    public enum Name: String, Sendable { case event, room }

    private let connection: any SQLConnection

    /// Numbers as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Takes `count` numbers.
    /// - Throws: `DatabaseError`.
    public func take(_ name: Name, count: Int) throws -> ClosedRange<Int64> {
        guard count > 0,
            let row = try connection.query(
                """
                UPDATE number_blocks SET taken = taken + \(count) WHERE name = \(name.rawValue) RETURNING taken
                """
            ).first
        else { throw DatabaseError(.misuse, "no numbers for \(name.rawValue)") }
        let last = try row.integer(0)
        return (last - Int64(count) + 1)...last
    }
}
