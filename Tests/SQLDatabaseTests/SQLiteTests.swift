import Foundation
import SQLDatabase
import SQLiteEngine
import Testing

@Suite("SQLite files") struct SQLiteTests {
    /// Runs a test with the path of a file in a folder of its own.
    func withFile(_ test: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await test(folder.appendingPathComponent("test.db").path)
    }

    @Test func `what was written is there after opening again, and only its owner can read the file`() async throws {
        try await withFile { path in
            let first = try await SQLiteDatabase.open(SQLiteConfiguration(.file(path)))
            try await first.write { try $0.execute("CREATE TABLE t (id BIGINT)") }
            try await first.groupedWrite { try $0.execute("INSERT INTO t VALUES (\(7))") }
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            await first.close()

            let second = try await SQLiteDatabase.open(SQLiteConfiguration(.file(path)))
            let ids = try await second.ids()
            #expect(ids == [7])
            await second.close()
        }
    }

    @Test func `a commit is synced to disk unless configured otherwise`() async throws {
        try await withFile { path in
            var configuration = SQLiteConfiguration(.file(path))
            for (durability, level) in [(SQLiteConfiguration.Durability.full, 2), (.normal, 1), (.off, 0)] {
                configuration.durability = durability
                let database = try await SQLiteDatabase.open(configuration)
                let settings = try await database.write { connection in
                    try ["synchronous", "foreign_keys"].map { name in
                        try connection.query("PRAGMA \(raw: name)").first?.int(0)
                    }
                }
                #expect(settings == [level, 1])
                await database.close()
            }
        }
    }

    @Test func `a full disk fails all of a group, and the service goes on when there is space`() async throws {
        try await withFile { path in
            let database = try await SQLiteDatabase.open(SQLiteConfiguration(.file(path)))
            try await database.write { try $0.execute("CREATE TABLE t (id BIGINT, b BLOB)") }
            let big = [UInt8](repeating: 1, count: 100_000)
            func setPages(_ count: Int) async throws {
                _ = try await database.write { try $0.query("PRAGMA max_page_count = \(raw: String(count))") }
            }
            try await setPages(10)

            await withTaskGroup(of: Void.self) { group in
                for id in 0..<20 {
                    group.addTask {
                        let error = await #expect(throws: DatabaseError.self) {
                            try await database.groupedWrite { try $0.execute("INSERT INTO t VALUES (\(id), \(big))") }
                        }
                        #expect(error?.kind == .full)
                    }
                }
            }
            let ids = try await database.ids()
            #expect(ids == [])

            try await setPages(1_000_000)
            try await database.groupedWrite { try $0.execute("INSERT INTO t VALUES (\(1), \(big))") }
            let idsAfter = try await database.ids()
            #expect(idsAfter == [1])
            await database.close()
        }
    }

    @Test func `another process that writes makes us busy, not wrong`() async throws {
        try await withFile { path in
            var configuration = SQLiteConfiguration(.file(path))
            configuration.busyTimeout = .milliseconds(20)
            let database = try await SQLiteDatabase.open(configuration)
            try await database.write { try $0.execute("CREATE TABLE t (id BIGINT)") }
            let other = try await SQLiteDatabase.open(configuration)

            let kind = try await other.write { _ in
                let ours = WaitingResult()
                Thread {
                    ours.finish {
                        try await database.groupedWrite { try $0.execute("INSERT INTO t VALUES (1)") }
                    }
                }.start()
                return ours.wait()
            }

            #expect(kind == .busy)
            try await database.groupedWrite { try $0.execute("INSERT INTO t VALUES (2)") }
            let ids = try await other.ids()
            #expect(ids == [2])
            await database.close()
            await other.close()
        }
    }

    @Test func `what is not a database, or cannot be opened, is refused`() async throws {
        try await withFile { path in
            try Data(repeating: 0x41, count: 5_000).write(to: URL(fileURLWithPath: path))
            let damaged = await #expect(throws: DatabaseError.self) {
                try await SQLiteDatabase.open(SQLiteConfiguration(.file(path)))
            }
            #expect(damaged?.kind == .corrupt)

            let missing = await #expect(throws: DatabaseError.self) {
                try await SQLiteDatabase.open(SQLiteConfiguration(.file(path + "/no/such/folder.db")))
            }
            #expect(missing?.kind == .unavailable)
        }
    }

    @Test func `too much waiting work is refused as busy`() async throws {
        try await withFile { path in
            let database = try await SQLiteDatabase.open(SQLiteConfiguration(.file(path)))
            let refused = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<(SQLLimits.waitingClosures * 2) {
                    group.addTask {
                        do {
                            try await database.write { _ in usleep(500) }
                            return false
                        } catch {
                            return (error as? DatabaseError)?.kind == .busy
                        }
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(refused > 0)
            _ = try await database.write { try $0.query("SELECT 1") }
            await database.close()
        }
    }

    @Test func `a closure cannot go on alone when its transaction has ended`() async throws {
        let database = try SQLiteDatabase.inMemory()
        try await database.write { try $0.execute("CREATE TABLE t (id BIGINT UNIQUE ON CONFLICT ROLLBACK)") }
        await #expect(throws: DatabaseError.self) {
            try await database.write { connection in
                try connection.execute("INSERT INTO t VALUES (1)")
                _ = try? connection.execute("INSERT INTO t VALUES (1)")
                try connection.execute("INSERT INTO t VALUES (2)")
            }
        }
        let ids = try await database.ids()
        #expect(ids == [])
    }
}

/// Waits on a thread for an asynchronous call's kind of error.
private final class WaitingResult: @unchecked Sendable {
    private let done = DispatchSemaphore(value: 0)
    private var kind: DatabaseError.Kind?

    func finish(_ call: @escaping @Sendable () async throws -> some Sendable) {
        Task {
            do {
                _ = try await call()
            } catch {
                kind = (error as? DatabaseError)?.kind
            }
            done.signal()
        }
    }

    func wait() -> DatabaseError.Kind? {
        done.wait()
        return kind
    }
}
