import SQLDatabase
import Synchronization

@testable import ClientEncryption

/// Notes what is asked of a connection.
struct WatchedConnection: SQLConnection {
    /// The statements, as they come.
    final class Notes: Sendable {
        private let noted = Mutex<[String]>([])

        var statements: [String] { noted.withLock { $0 } }

        func add(_ sql: SQL) { noted.withLock { $0.append(sql.text) } }
    }

    let connection: any SQLConnection
    let notes: Notes

    var dialect: Dialect { connection.dialect }

    func query(_ sql: SQL) throws(DatabaseError) -> [SQLRow] {
        notes.add(sql)
        return try connection.query(sql)
    }

    func execute(_ sql: SQL) throws(DatabaseError) -> Int {
        notes.add(sql)
        return try connection.execute(sql)
    }

    func executeAll(_ statements: [SQL]) throws(DatabaseError) -> [[SQLRow]] {
        for sql in statements { notes.add(sql) }
        return try connection.executeAll(statements)
    }

    func notify(_ payload: String) throws(DatabaseError) { try connection.notify(payload) }
}

extension TrustDevice {
    /// The statements that `work` takes.
    func statements(
        _ work: @escaping @Sendable (EncryptionMachine, any SQLConnection) throws -> Void
    ) async throws -> [String] {
        let notes = WatchedConnection.Notes()
        try await write { machine, connection in
            try work(machine, WatchedConnection(connection: connection, notes: notes))
        }
        return notes.statements
    }
}
