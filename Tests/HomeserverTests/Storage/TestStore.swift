import FedchatTesting
import Foundation
import PostgresEngine
import SQLDatabase
import SQLiteEngine

/// The engines a homeserver may stand on, each with what it really keeps: a file, or a server.
enum TestStore: String, CaseIterable, Sendable {
    case sqlite, postgres

    /// Those that can be used on this machine.
    static let available = allCases.filter { $0 != .postgres || TestPostgres.shared != nil }

    /// Runs a test on a new, empty database. `file` is SQLite's.
    func run(_ test: (_ database: any Database, _ file: String?) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("test.db").path
        let database: any Database
        switch self {
        case .sqlite: database = try await SQLiteDatabase.open(SQLiteConfiguration(.file(file)))
        case .postgres:
            guard let postgres = TestPostgres.shared else { throw DatabaseError(.unavailable, "no PostgreSQL") }
            database = try await PostgresDatabase.open(PostgresConfiguration(url: try postgres.makeDatabase()))
        }
        do {
            try await test(database, self == .sqlite ? file : nil)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }

    /// The columns, as `table.column`, in which some bytes are found: every table, every column of text or bytes.
    static func columns(holding bytes: [UInt8], in database: any Database) async throws -> Set<String> {
        try await database.read { connection in
            let columns: SQL =
                switch connection.dialect {
                case .sqlite:
                    """
                    SELECT t.name, c.name, c.type FROM sqlite_master t, pragma_table_info(t.name) c
                    WHERE t.type = 'table'
                    """
                case .postgres:
                    """
                    SELECT table_name, column_name, data_type FROM information_schema.columns
                    WHERE table_schema = current_schema() AND data_type IN ('text', 'bytea')
                    """
                }
            var found: Set<String> = []
            for row in try connection.query(columns) {
                let (table, column) = (try row.text(0), try row.text(1))
                let place: SQL =
                    switch (connection.dialect, try row.text(2)) {
                    case (.sqlite, _): "INSTR(CAST(\"\(raw: column)\" AS BLOB), \(bytes))"
                    case (.postgres, "bytea"): "POSITION(\(bytes) IN \"\(raw: column)\")"
                    case (.postgres, _): "POSITION(\(bytes) IN CONVERT_TO(\"\(raw: column)\", 'UTF8'))"
                    }
                let holding: SQL = "SELECT 1 FROM \"\(raw: table)\" WHERE " + place + " > 0 LIMIT 1"
                if try !connection.query(holding).isEmpty { found.insert("\(table).\(column)") }
            }
            return found
        }
    }
}
