internal import SQLDatabase

extension EncryptionMachine {
    /// Forgets the oldest rows of a table beyond so many, by a column that grows; rows of one moment stay together.
    func keepNewest(_ count: Int64, of table: SQL, by column: SQL, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            DELETE FROM \(table) WHERE \(column) < (
                SELECT \(column) FROM \(table) ORDER BY \(column) DESC LIMIT 1 OFFSET \(max(count, 1) - 1))
            """)
    }
}
