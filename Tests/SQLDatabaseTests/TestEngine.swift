import FedchatTesting
import Foundation
import PostgresEngine
import SQLDatabase
import SQLiteEngine

/// The engines that every test of ``Database`` runs on.
enum TestEngine: String, CaseIterable, Sendable {
    case sqliteInMemory, sqliteInline, sqlite, postgres

    /// Those that can be used on this machine.
    static let available = allCases.filter { $0 != .postgres || TestPostgres.shared != nil }

    /// Runs a test on a new, empty database, with one table `t` of each type.
    func run(_ test: (any Database) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let database = try await open(in: folder)
        do {
            try await database.write { connection in
                try connection.execute(
                    """
                    CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT UNIQUE, bytes \(raw: connection.dialect.bytesType),
                        number \(raw: connection.dialect.realType))
                    """)
            }
            try await test(database)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }

    private func open(in folder: URL) async throws -> any Database {
        var configuration = SQLiteConfiguration(.file(folder.appendingPathComponent("test.db").path))
        switch self {
        case .sqliteInMemory:
            return try SQLiteDatabase.inMemory()
        case .sqliteInline:
            configuration.threading = .inline
            return try await SQLiteDatabase.open(configuration)
        case .sqlite:
            return try await SQLiteDatabase.open(configuration)
        case .postgres:
            guard let postgres = TestPostgres.shared else { throw DatabaseError(.unavailable, "no PostgreSQL") }
            return try await PostgresDatabase.open(PostgresConfiguration(url: try postgres.makeDatabase()))
        }
    }
}

struct Refusal: Error, Equatable {}

extension Database {
    /// The ids in the table `t`, in order.
    func ids() async throws -> [Int] {
        try await read { try $0.query("SELECT id FROM t ORDER BY id").map { try $0.int(0) } }
    }
}
