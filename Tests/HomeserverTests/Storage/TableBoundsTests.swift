import Foundation
import SQLDatabase
import Testing

@testable import Homeserver
@testable import HomeserverStorage

/// Every table has an end, and what is taken out leaves nothing behind: for whoever adds a table.
@Suite("The bounds of tables") struct TableBoundsTests {
    @Test(arguments: TestStore.available) func `each table has a line that says what ends its rows`(
        _ store: TestStore
    ) async throws {
        try await store.run { database, _ in
            try await Instance.migrate(database)
            let names = Set(try await database.read { try TableRows($0).names() })
            for name in names.sorted() where TableBounds.all[name] == nil {
                Issue.record("\(name) has no line in TableBounds: what ends its rows?")
            }
            for name in TableBounds.all.keys.sorted() where !names.contains(name) {
                Issue.record("TableBounds tells of \(name), which is no table")
            }
        }
    }

    @Test func `the notes on storage name each table`() throws {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        let text = try String(contentsOf: folder.appendingPathComponent("spec/storage.md"), encoding: .utf8)
        let bounds = try #require(text.components(separatedBy: "## What grows, and what ends it").last)
        for name in TableBounds.all.keys.sorted() where !bounds.contains("`\(name)`") {
            Issue.record("spec/storage.md does not say what ends the rows of \(name)")
        }
    }

    private func columns(_ name: String) async throws -> Set<String> {
        let database = try await RoomFixture().environment.database
        return try await database.read { connection in
            guard connection.dialect == .sqlite else { return [] }
            return Set(
                try connection.query(
                    """
                    SELECT t.name FROM sqlite_master t, pragma_table_info(t.name) c
                    WHERE t.type = 'table' AND c.name = \(name)
                    """
                ).map { try $0.text(0) })
        }
    }

    @Test func `what is kept about a room goes with it, from every table`() async throws {
        let seen = Set(RoomPurge.tables.map(\.name)).union(RoomPurge.others)
        let tables = try await columns("room_nid").union(columns("room_id"))
        #expect(tables.subtracting(seen).sorted() == [], "name these in RoomPurge.tables, or say why not in .others")
    }

    @Test func `what is kept about an event goes with it, from every table`() async throws {
        let seen = Set(EventRemoval.tables).union(EventRemoval.others)
        #expect(
            try await columns("event_nid").subtracting(seen).sorted() == [],
            "name these in EventRemoval.tables, or say why not in .others")
    }

    @Test(arguments: TestStore.available) func `the rows of all tables are told, about`(_ store: TestStore) async throws
    {
        try await store.run { database, _ in
            let server = try await RoomFixture(database: database)
            let room = try await server.room()
            for number in 0..<20 { _ = try await server.message("\(number)", room.id) }
            var large: [String: Duration] = [:]
            if store == .postgres { try await database.write { _ = try $0.query("ANALYZE") } }
            let counts = try await TableGauges(environment: server.environment).look(&large)
            #expect(counts["events"] == 25 && counts["rooms"] == 1 && counts["outbox"] == 0)
            #expect(counts.count == TableBounds.all.count)
        }
    }

    @Test func `what is deleted makes SQLite's file smaller`() async throws {
        try await TestStore.sqlite.run { database, _ in
            try await Instance.migrate(database)
            func pages() async throws -> Int64 {
                try await database.read { try $0.query("PRAGMA page_count").first?.integer(0) ?? 0 }
            }
            let before = try await pages()
            try await database.write { connection in
                for number in 0..<3_000 {
                    try connection.execute(
                        """
                        INSERT INTO reply_log (user_id, device_id, scope, transaction_id, response, created)
                        VALUES ('@u:test', 'D', 'S', \(String(number)), \([UInt8](repeating: 7, count: 4_000)), 1)
                        """)
                }
            }
            let full = try await pages()
            #expect(full > before + 2_900)
            try await database.write { try ReplyLog($0).removeAnswers(before: 2) }
            var steps = 0
            while try await database.write({ try FreePages($0).giveBack() }) { steps += 1 }
            #expect(steps > 1)
            #expect(try await pages() < before + 1_100)
        }
    }
}
