import FedchatTesting
import Foundation
import PostgresEngine
import SQLDatabase
import Synchronization
import Testing

@Suite("PostgreSQL", .enabled(if: TestPostgres.shared != nil, "PostgreSQL is not installed"))
struct PostgresTests {
    func withDatabase(_ test: (PostgresDatabase, String) async throws -> Void) async throws {
        let url = try #require(TestPostgres.shared).makeDatabase()
        let database = try await PostgresDatabase.open(PostgresConfiguration(url: url))
        try await database.write { try $0.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)") }
        try await test(database, url)
        await database.close()
    }

    @Test func `values of many types arrive`() async throws {
        try await withDatabase { database, _ in
            let rows = try await database.read { connection in
                try connection.query(
                    """
                    SELECT 1::int2, -2::int4, true, 1.5::float4, 'n'::name, '{"a":1}'::json, '{"a": 1}'::jsonb,
                        'x'::varchar, 20000000000000000000::numeric, -120034::numeric, 10000::numeric, 0::numeric,
                        -1.25::numeric, 9223372036854775807::numeric, -9223372036854775808::numeric, 4000000000::oid
                    """)
            }
            #expect(
                rows == [
                    SQLRow([
                        .integer(1), .integer(-2), .integer(1), .real(1.5), .text("n"), .text("{\"a\":1}"),
                        .text("{\"a\": 1}"), .text("x"), .real(2e19), .integer(-120_034),
                        .integer(10_000), .integer(0), .real(-1.25), .integer(.max), .integer(.min),
                        .integer(4_000_000_000),
                    ])
                ])
        }
    }

    @Test func `a transaction that loses a deadlock is run again`() async throws {
        try await withDatabase { database, _ in
            try await database.write { connection in
                try connection.execute("SET LOCAL deadlock_timeout = '50ms'")
                try connection.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
            }
            let runs = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (first, second) in [(1, 2), (2, 1)] {
                    group.addTask {
                        try await database.write { connection in
                            runs.value.add(1, ordering: .relaxed)
                            try connection.execute("SET LOCAL deadlock_timeout = '50ms'")
                            try connection.execute("UPDATE t SET n = n + 1 WHERE id = \(first)")
                            _ = try connection.query("SELECT pg_sleep(0.1)")
                            try connection.execute("UPDATE t SET n = n + 1 WHERE id = \(second)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            let sums = try await database.read { try $0.query("SELECT SUM(n) FROM t") }
            #expect(sums == [SQLRow([.integer(4)])])
            #expect(runs.value.load(ordering: .relaxed) >= 3)
        }
    }

    @Test func `an error that a closure hides still fails it, and nothing is half kept`() async throws {
        try await withDatabase { database, _ in
            let hiding: @Sendable (any SQLConnection) throws -> Void = { connection in
                try connection.execute("INSERT INTO t VALUES (1, 0)")
                _ = try? connection.execute("INSERT INTO t VALUES (1, 0)")
            }
            let single = await #expect(throws: DatabaseError.self) { try await database.write(hiding) }
            #expect(single?.kind == .constraint)
            let grouped = await #expect(throws: DatabaseError.self) { try await database.groupedWrite(hiding) }
            #expect(grouped?.kind == .constraint)
            let ids = try await database.ids()
            #expect(ids == [])
        }
    }

    @Test func `a notification reaches another node`() async throws {
        try await withDatabase { database, url in
            let other = try await PostgresDatabase.open(PostgresConfiguration(url: url))
            var theirs = other.notifications().makeAsyncIterator()
            try await database.groupedWrite { try $0.notify("events 5") }
            #expect(await theirs.next() == "events 5")
            await other.close()
        }
    }

    @Test func `a large answer to many statements in one round trip arrives`() async throws {
        try await withDatabase { database, _ in
            let text = String(repeating: "x", count: 200_000)
            let rows = try await database.read { connection in
                try connection.executeAll((0..<100).map { "SELECT \($0), \(text)" })
            }
            #expect(rows.count == 100)
            #expect(try rows[99][0].int(0) == 99)
            #expect(try rows[99][0].text(1) == text)
        }
    }

    @Test func `connections are made anew when the server was restarted`() async throws {
        let server = try TestPostgres.separate()
        defer { server.stop() }
        let database = try await PostgresDatabase.open(PostgresConfiguration(url: server.url))
        var notifications = database.notifications().makeAsyncIterator()
        try await database.write { try $0.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)") }
        try await database.groupedWrite { try $0.execute("INSERT INTO t VALUES (1)") }
        let ids = try await database.ids()
        #expect(ids == [1])

        #expect(server.restart())

        try await database.groupedWrite { try $0.execute("INSERT INTO t VALUES (2)") }
        try await database.write { try $0.execute("INSERT INTO t VALUES (3)") }
        let idsAfter = try await database.ids()
        #expect(idsAfter == [1, 2, 3])
        #expect(await notifications.next() == "")
        try await database.groupedWrite { try $0.notify("after") }
        #expect(await notifications.next() == "after")
        await database.close()
    }

    @Test func `a server that is gone makes work fail as unavailable, at once`() async throws {
        let server = try TestPostgres.separate()
        let database = try await PostgresDatabase.open(PostgresConfiguration(url: server.url))
        server.stop()
        for _ in 0..<3 {
            let read = await #expect(throws: DatabaseError.self) {
                try await database.read { try $0.query("SELECT 1") }
            }
            #expect(read?.kind == .unavailable)
            let grouped = await #expect(throws: DatabaseError.self) {
                try await database.groupedWrite { try $0.query("SELECT 1") }
            }
            #expect(grouped?.kind == .unavailable)
        }
        await database.close()
    }

    @Test(arguments: [
        "postgresql://user:hunter2@127.0.0.1:1/none", "postgresql://user:hunter2@[bad/none",
        "postgresql://user:hunter2%zz@127.0.0.1:1/none", "host=127.0.0.1 port=1 password=hunter2",
    ])
    func `an error does not tell the password`(url: String) async throws {
        let configuration = PostgresConfiguration(url: url)
        let error = await #expect(throws: DatabaseError.self) { try await PostgresDatabase.open(configuration) }
        #expect(error?.description.contains("hunter2") == false)
        #expect(!"\(configuration)".contains("hunter2"))
    }

    @Test func `an error does not tell a value`() async throws {
        try await withDatabase { database, _ in
            let error = await #expect(throws: DatabaseError.self) {
                try await database.read { try $0.query("SELECT \("hunter2")::bigint") }
            }
            #expect(error?.description.contains("hunter2") == false)
        }
    }
}

private final class Counter: Sendable {
    let value = Atomic(0)
}
