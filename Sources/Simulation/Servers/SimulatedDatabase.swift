internal import FedchatTesting
internal import SQLDatabase
internal import SQLiteEngine

/// A server's database during one life: SQLite on a simulated disk, where each transaction takes some time before and after,
/// in which others go on, or the power fails.
final class SimulatedDatabase: Database {
    private static let time = 20...900

    /// What is beneath, which takes no time: for the simulation's own looking and meddling. No part of the server: who keeps it
    /// does not keep the server's database in memory.
    let engine: SQLiteDatabase
    private let disk: SimulatedDisk
    private let life: Life
    private let clock: ManualClock
    private let chance: Chance

    init(on disk: SimulatedDisk, _ life: Life, _ clock: ManualClock, _ chance: Chance, isDurable: Bool) async throws {
        var configuration = SQLiteConfiguration(.file(disk.path(of: "homeserver.db")))
        configuration.threading = .inline
        configuration.durability = isDurable ? .full : .off
        engine = try await SQLiteDatabase.open(configuration)
        self.disk = disk
        self.life = life
        self.clock = clock
        self.chance = chance
    }

    let dialect = Dialect.sqlite

    func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await turn { try await self.engine.read(work) }
    }

    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await turn { try await self.engine.write(work) }
    }

    func groupedWrite<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await turn { try await self.engine.groupedWrite(work) }
    }

    func notifications() -> AsyncStream<String> { engine.notifications() }

    func close() async { await engine.close() }

    private func turn<R: Sendable>(_ body: @Sendable () async throws -> R) async throws -> R {
        try await pause()
        let result: Result<R, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        try await pause()
        return try result.get()
    }

    private func pause() async throws {
        if disk.isDead { life.crash() }
        guard !life.hasEnded else { throw DatabaseError(.unavailable, "the power is cut") }
        // A task that is cancelled has its transaction done all the same, as with an engine's own threads.
        try? await clock.sleep(until: clock.now.advanced(by: chance.microseconds(Self.time)))
        guard !life.hasEnded else { throw DatabaseError(.unavailable, "the power is cut") }
    }
}
