import SQLDatabase
import SQLiteEngine
import Testing

/// A disk whose power fails keeps what was synced, and of the rest any part.
@Suite("Simulated disk") struct SimulatedDiskTests {
    private static func open(
        _ disk: SimulatedDisk, _ durability: SQLiteConfiguration.Durability = .full
    ) async throws -> SQLiteDatabase {
        var configuration = SQLiteConfiguration(.file(disk.path(of: "test.db")))
        configuration.threading = .inline
        configuration.durability = durability
        return try await SQLiteDatabase.open(configuration)
    }

    private static func numbers(_ database: SQLiteDatabase) async throws -> [Int64] {
        try await database.read { try $0.query("SELECT n FROM numbers ORDER BY n").map { try $0.integer(0) } }
    }

    @Test func `what was committed is there after a power cut`() async throws {
        let disk = SimulatedDisk()
        let database = try await Self.open(disk)
        try await database.write { try $0.execute("CREATE TABLE numbers (n INTEGER)") }
        for number in 1...20 as ClosedRange<Int64> {
            try await database.write { try $0.execute("INSERT INTO numbers VALUES (\(number))") }
        }
        #expect(disk.syncCount >= 20)
        let left = disk.afterPowerCut { false }
        await #expect(throws: DatabaseError.self) {
            try await database.write { try $0.execute("INSERT INTO numbers VALUES (21)") }
        }
        await database.close()
        #expect(try await Self.numbers(Self.open(left)) == Array(1...20))
    }

    /// Else the disk would lose nothing, and no crash would show anything.
    @Test func `what was not synced is lost`() async throws {
        let disk = SimulatedDisk()
        let database = try await Self.open(disk)
        try await database.write { try $0.execute("CREATE TABLE numbers (n INTEGER)") }
        await database.close()
        let careless = try await Self.open(disk, .off)
        for number in 1...20 as ClosedRange<Int64> {
            try await careless.write { try $0.execute("INSERT INTO numbers VALUES (\(number))") }
        }
        #expect(disk.hasUnsynced)
        let left = disk.afterPowerCut { false }
        await careless.close()
        #expect(try await Self.numbers(Self.open(left)) == [])
    }

    @Test func `a commit in which the power fails is whole or not there`() async throws {
        var outcomes: Set<Int> = []
        for operations in 1...60 {
            let disk = SimulatedDisk()
            let database = try await Self.open(disk)
            try await database.write { try $0.execute("CREATE TABLE numbers (n INTEGER)") }
            disk.cutPower(after: operations)
            var acknowledged: Int64 = 0
            for number in 1...12 as ClosedRange<Int64> {
                let done = try? await database.write { connection in
                    try connection.execute("INSERT INTO numbers VALUES (\(number))")
                    return try connection.execute("INSERT INTO numbers VALUES (\(number + 100))")
                }
                if done != nil { acknowledged = number }
            }
            var kept = false
            let left = disk.afterPowerCut {
                kept.toggle()
                return kept
            }
            await database.close()
            let numbers = try await Self.numbers(Self.open(left))
            let small = numbers.filter { $0 < 100 }
            #expect(small == Array(1..<Int64(small.count + 1)))
            #expect(numbers.filter { $0 > 100 } == small.map { $0 + 100 })
            #expect(small.count >= acknowledged)
            outcomes.insert(small.count)
        }
        #expect(outcomes.count > 3)
    }
}
