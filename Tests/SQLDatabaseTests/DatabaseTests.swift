import SQLDatabase
import Synchronization
import Testing

@Suite("Database, on each engine") struct DatabaseTests {
    @Test(arguments: TestEngine.available)
    func `rows are inserted, read, changed and deleted`(engine: TestEngine) async throws {
        try await engine.run { database in
            let inserted = try await database.write { connection in
                try connection.query(
                    "INSERT INTO t (id, name) VALUES (\(1), \("one")), (\(2), \("two")) RETURNING id, name")
            }
            #expect(inserted == [SQLRow([.integer(1), .text("one")]), SQLRow([.integer(2), .text("two")])])

            let changed = try await database.write { try $0.execute("UPDATE t SET name = name || \("!")") }
            #expect(changed == 2)
            let none = try await database.write { try $0.execute("UPDATE t SET id = 9 WHERE id = \(7)") }
            #expect(none == 0)
            let upserted = try await database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO t (id, name) VALUES (\(1), \("eins"))
                    ON CONFLICT (id) DO UPDATE SET name = excluded.name
                    """)
            }
            #expect(upserted == 1)

            let names = try await database.read { connection in
                try connection.query("SELECT name FROM t WHERE id IN \(list: [1, 2, 3]) ORDER BY id")
                    .map { try $0.text(0) }
            }
            #expect(names == ["eins", "two!"])

            let deleted = try await database.write { try $0.execute("DELETE FROM t WHERE id = \(1)") }
            #expect(deleted == 1)
            let ids = try await database.ids()
            #expect(ids == [2])
        }
    }

    @Test(arguments: TestEngine.available)
    func `values come back as they went in`(engine: TestEngine) async throws {
        let cases: [(SQLValue, SQLValue, SQLValue)] = [
            (.text("plain"), .bytes([0, 1, 255]), .real(0.1)),
            (.text(""), .bytes([]), .real(-1e300)),
            (.text("é😀'\"\\$1 ?1"), .bytes(Array(repeating: 0x5c, count: 100_000)), .real(3)),
            (.null, .null, .null),
        ]
        try await engine.run { database in
            for (index, (name, bytes, number)) in cases.enumerated() {
                try await database.groupedWrite { connection in
                    try connection.execute("INSERT INTO t VALUES (\(index), \(name), \(bytes), \(number))")
                }
                let rows = try await database.read {
                    try $0.query("SELECT name, bytes, number FROM t WHERE id = \(index)")
                }
                #expect(rows == [SQLRow([name, bytes, number])])
            }
            for extreme in [Int64.min, .max] {
                try await database.write { try $0.execute("INSERT INTO t (id) VALUES (\(extreme))") }
                let rows = try await database.read { try $0.query("SELECT id FROM t WHERE id = \(extreme)") }
                #expect(rows == [SQLRow([.integer(extreme)])])
            }
            let computed = try await database.read { connection in
                try connection.query(
                    """
                    SELECT COUNT(*), SUM(id), COALESCE(\(Int?.none), \(5)), \(7) - 1, \("x") || 'y', MAX(number)
                    FROM t WHERE id IN (1, 2) AND (\(Int?.none) IS NULL OR id = \(Int?.none)) LIMIT \(10)
                    """)
            }
            #expect(
                computed == [
                    SQLRow([.integer(2), .integer(3), .integer(5), .integer(6), .text("xy"), .real(3)])
                ])
        }
    }

    @Test(arguments: TestEngine.available)
    func `a text with U+0000 is refused and the next is not`(engine: TestEngine) async throws {
        try await engine.run { database in
            let error = await #expect(throws: DatabaseError.self) {
                try await database.write { try $0.execute("INSERT INTO t (id, name) VALUES (1, \("a\u{0}b"))") }
            }
            #expect(error?.kind == .misuse)
            try await database.write { try $0.execute("INSERT INTO t (id, name) VALUES (2, \("ab"))") }
            let ids = try await database.ids()
            #expect(ids == [2])
        }
    }

    @Test(arguments: TestEngine.available)
    func `errors say what kind they are`(engine: TestEngine) async throws {
        try await engine.run { database in
            func kind(_ statement: SQL) async -> DatabaseError.Kind? {
                do {
                    _ = try await database.write { try $0.query(statement) }
                    return nil
                } catch {
                    return (error as? DatabaseError)?.kind
                }
            }
            #expect(await kind("INSERT INTO t (id, name) VALUES (1, \("a"))") == nil)
            #expect(await kind("INSERT INTO t (id, name) VALUES (1, \("b"))") == .constraint)
            #expect(await kind("INSERT INTO t (id, name) VALUES (2, \("a"))") == .constraint)
            #expect(await kind("SELEC 1") == .misuse)
            #expect(await kind("SELECT 1; SELECT 2") == .misuse)
            #expect(await kind("SELECT * FROM nowhere") == .misuse)
            #expect(await kind(SQL(raw: "SELECT id FROM t WHERE id = $1")) == .misuse)
            #expect(await kind("SELECT id FROM t") == nil)
        }
    }

    @Test(arguments: TestEngine.available)
    func `a closure that throws leaves nothing behind`(engine: TestEngine) async throws {
        try await engine.run { database in
            await #expect(throws: Refusal.self) {
                try await database.write { connection in
                    try connection.execute("INSERT INTO t (id) VALUES (1)")
                    throw Refusal()
                }
            }
            let ids = try await database.ids()
            #expect(ids == [])
        }
    }

    @Test(arguments: TestEngine.available)
    func `a read cannot write`(engine: TestEngine) async throws {
        try await engine.run { database in
            await #expect(throws: DatabaseError.self) {
                try await database.read { try $0.execute("INSERT INTO t (id) VALUES (1)") }
            }
            let ids = try await database.ids()
            #expect(ids == [])
        }
    }

    @Test(arguments: TestEngine.available)
    func `statements together give the rows of each, and the first that fails ends them`(
        engine: TestEngine
    ) async throws {
        try await engine.run { database in
            let rows = try await database.groupedWrite { connection in
                try connection.executeAll([
                    "INSERT INTO t (id, name) VALUES (\(1), \("a"))",
                    "SELECT id, name FROM t",
                    "UPDATE t SET name = \("b") WHERE id = \(1) RETURNING name",
                    "SELECT name FROM t WHERE id = \(2)",
                ])
            }
            #expect(rows == [[], [SQLRow([.integer(1), .text("a")])], [SQLRow([.text("b")])], []])

            let error = await #expect(throws: DatabaseError.self) {
                try await database.write { connection in
                    try connection.executeAll([
                        "INSERT INTO t (id) VALUES (5)", "INSERT INTO t (id) VALUES (1)", "SELECT 1",
                    ])
                }
            }
            #expect(error?.kind == .constraint)
            let ids = try await database.ids()
            #expect(ids == [1])
        }
    }

    @Test(arguments: TestEngine.available)
    func `in a group, a closure that fails undoes only itself`(engine: TestEngine) async throws {
        try await engine.run { database in
            let failed = await withTaskGroup(of: Int?.self) { group in
                for id in 0..<40 {
                    group.addTask {
                        do {
                            try await database.groupedWrite { connection in
                                try connection.execute("INSERT INTO t (id) VALUES (\(id))")
                                if id % 4 == 1 { throw Refusal() }
                                if id % 4 == 3 { try connection.execute("INSERT INTO t (id) VALUES (\(id))") }
                            }
                            return nil
                        } catch {
                            #expect(id % 4 == 1 ? error is Refusal : (error as? DatabaseError)?.kind == .constraint)
                            return id
                        }
                    }
                }
                return await group.reduce(into: Set<Int>()) { if let id = $1 { $0.insert(id) } }
            }
            #expect(failed == Set((0..<40).filter { $0 % 2 == 1 }))
            let ids = try await database.ids()
            #expect(ids == (0..<40).filter { $0 % 2 == 0 })
        }
    }

    @Test(arguments: TestEngine.available)
    func `what was answered is there for the next reader, with 64 writers`(engine: TestEngine) async throws {
        try await engine.run { database in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<64 {
                    group.addTask {
                        for step in 0..<5 {
                            let id = writer * 100 + step
                            if step == 4 {
                                try await database.write { try $0.execute("INSERT INTO t (id) VALUES (\(id))") }
                            } else {
                                try await database.groupedWrite { try $0.execute("INSERT INTO t (id) VALUES (\(id))") }
                            }
                            let found = try await database.read {
                                try $0.query("SELECT 1 FROM t WHERE id = \(id)").count
                            }
                            #expect(found == 1)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.ids().count == 320)
        }
    }

    @Test(arguments: TestEngine.available)
    func `closures see those before them, so a counter has no gap`(engine: TestEngine) async throws {
        try await engine.run { database in
            try await database.write { try $0.execute("INSERT INTO t (id, number) VALUES (1, 0)") }
            let numbers = try await withThrowingTaskGroup(of: Double.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        try await database.groupedWrite { connection in
                            let rows = try connection.query("UPDATE t SET number = number + 1 RETURNING number")
                            return try rows[0].double(0)
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(numbers.sorted() == (1...50).map(Double.init))
        }
    }

    @Test(arguments: TestEngine.available)
    func `a notification arrives after its commit and not after a rollback`(engine: TestEngine) async throws {
        try await engine.run { database in
            var first = database.notifications().makeAsyncIterator()
            var second = database.notifications().makeAsyncIterator()
            await #expect(throws: Refusal.self) {
                try await database.write { connection in
                    try connection.notify("never")
                    throw Refusal()
                }
            }
            await #expect(throws: Refusal.self) {
                try await database.groupedWrite { connection in
                    try connection.notify("never")
                    throw Refusal()
                }
            }
            try await database.groupedWrite { connection in
                try connection.execute("INSERT INTO t (id) VALUES (1)")
                try connection.notify("events 1")
            }
            try await database.write { try $0.notify("events 2") }

            #expect(await first.next() == "events 1")
            let ids = try await database.ids()
            #expect(ids == [1])
            #expect(await first.next() == "events 2")
            #expect(await second.next() == "events 1")
            await #expect(throws: DatabaseError.self) {
                try await database.write { try $0.notify(String(repeating: "x", count: 8_000)) }
            }
        }
    }

    @Test(arguments: TestEngine.available)
    func `after closing, work fails and notifications end`(engine: TestEngine) async throws {
        try await engine.run { database in
            var notifications = database.notifications().makeAsyncIterator()
            try await database.write { try $0.execute("INSERT INTO t (id) VALUES (1)") }

            await database.close()

            #expect(await notifications.next() == nil)
            for door in ["read", "write", "grouped"] {
                let error = await #expect(throws: DatabaseError.self) {
                    switch door {
                    case "read": _ = try await database.read { try $0.query("SELECT 1") }
                    case "write": _ = try await database.write { try $0.query("SELECT 1") }
                    default: _ = try await database.groupedWrite { try $0.query("SELECT 1") }
                    }
                }
                #expect(error?.kind == .unavailable)
            }
            await database.close()
        }
    }

    @Test(arguments: TestEngine.available)
    func `many statements of different text do not pile up or fail`(engine: TestEngine) async throws {
        try await engine.run { database in
            try await database.write { connection in
                for count in 1...(SQLLimits.preparedStatements + 50) {
                    let rows = try connection.query("SELECT 1 WHERE 1 IN \(list: 1...count)")
                    #expect(rows.count == 1)
                }
            }
        }
    }
}
