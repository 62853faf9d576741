import SQLDatabase
import Testing

@Suite("Migrations, on each engine") struct MigrationTests {
    let migrations = [
        Migration(1, "rooms") { ["CREATE TABLE rooms (id BIGINT PRIMARY KEY, b \(raw: $0.bytesType))"] },
        Migration(2, "names") { _ in ["ALTER TABLE rooms ADD COLUMN name TEXT", "INSERT INTO rooms (id) VALUES (1)"] },
        Migration(3, "users") { ["CREATE TABLE users (id \(raw: $0.generatedKey), name TEXT)"] },
    ]

    func version(_ database: any Database) async throws -> [SQLRow] {
        try await database.read { try $0.query("SELECT number, oldest_compatible FROM schema_version") }
    }

    @Test(arguments: TestEngine.available)
    func `a database is brought up to date once, from any older schema`(engine: TestEngine) async throws {
        try await engine.run { database in
            let first = try await Migrator.migrate(database, Array(migrations.prefix(2)), oldestCompatible: 1)
            #expect(first.map(\.number) == [1, 2])
            let present = try await version(database)
            #expect(present == [SQLRow([.integer(2), .integer(1)])])

            let second = try await Migrator.migrate(database, migrations, oldestCompatible: 2)
            #expect(second.map(\.name) == ["users"])
            #expect(try await Migrator.migrate(database, migrations, oldestCompatible: 2).isEmpty)
            let presentAfter = try await version(database)
            #expect(presentAfter == [SQLRow([.integer(3), .integer(2)])])
            let ids = try await database.write { connection in
                try connection.query("INSERT INTO users (name) VALUES ('a'), ('b') RETURNING id")
            }
            #expect(ids == [SQLRow([.integer(1)]), SQLRow([.integer(2)])])
        }
    }

    @Test(arguments: TestEngine.available)
    func `a newer schema is used if it says so, and refused if not`(engine: TestEngine) async throws {
        try await engine.run { database in
            try await Migrator.migrate(database, migrations, oldestCompatible: 2)

            let none = try await Migrator.migrate(database, Array(migrations.prefix(2)), oldestCompatible: 1)
            #expect(none.isEmpty)
            let present = try await version(database)
            #expect(present == [SQLRow([.integer(3), .integer(2)])])
            let error = await #expect(throws: DatabaseError.self) {
                try await Migrator.migrate(database, Array(migrations.prefix(1)), oldestCompatible: 1)
            }
            #expect(error?.message.contains("run a newer version") == true)
        }
    }

    @Test(arguments: TestEngine.available)
    func `a migration that fails leaves the schema before it`(engine: TestEngine) async throws {
        try await engine.run { database in
            let broken = Migration(4, "broken") { _ in
                ["CREATE TABLE half (id BIGINT)", "CREATE TABLE rooms (id BIGINT)"]
            }
            await #expect(throws: DatabaseError.self) {
                try await Migrator.migrate(database, migrations + [broken], oldestCompatible: 1)
            }
            let present = try await version(database)
            #expect(present == [SQLRow([.integer(3), .integer(3)])])
            await #expect(throws: DatabaseError.self) { try await database.read { try $0.query("SELECT * FROM half") } }
        }
    }

    @Test(arguments: TestEngine.available)
    func `nodes that start at once migrate once`(engine: TestEngine) async throws {
        try await engine.run { database in
            let ran = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<6 {
                    group.addTask { try await Migrator.migrate(database, migrations, oldestCompatible: 1).count }
                }
                return try await group.reduce(0, +)
            }
            #expect(ran == 3)
            let rows = try await database.read { try $0.query("SELECT id FROM rooms") }
            #expect(rows.count == 1)
        }
    }

    @Test func `migrations out of order are refused`() async throws {
        try await TestEngine.sqliteInMemory.run { database in
            await #expect(throws: DatabaseError.self) {
                try await Migrator.migrate(database, migrations.reversed(), oldestCompatible: 1)
            }
        }
    }
}
