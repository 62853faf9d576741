import ArgumentParser
import FedchatTesting
import HomeserverStorage
import MatrixModel
import PostgresEngine
import SQLDatabase
import SQLiteEngine

/// Measures how long it takes to resolve the states of a room's forks, and in how much memory.
struct MeasureStates: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "states",
        abstract: "Measure the resolution of the states of a room's forks, read from a database.",
        discussion: """
            The room is made here and stored as a server stores it. Cold: nothing of it is in the caches of the process; \
            warm: the same again.
            """)

    @Option(help: "The rooms' sizes in state events, separated by commas.")
    var events = "1000,2000,5000,10000,20000"

    @Option(help: "Forks.")
    var forks = 100

    @Option(
        help:
            "Only these rooms, separated by commas: \(ForkedHistory.allCases.map(\.rawValue).joined(separator: ", ")).")
    var only: String?

    @Option(help: "The room version.")
    var version = "12"

    @Option(
        help:
            "A libpq URL of an empty PostgreSQL database; without one it is SQLite, in a file in the folder for temporary files."
    )
    var postgres: String?

    func validate() throws {
        guard sizes.count == events.split(separator: ",").count, sizes.allSatisfy({ (100...200_000).contains($0) }),
            (2...900).contains(forks), RoomVersion(version) != nil
        else { throw ValidationError("events 100 to 200000, forks 2 to 900, a room version") }
        for part in only?.split(separator: ",") ?? [] where ForkedHistory(rawValue: String(part)) == nil {
            throw ValidationError("there is no room \(part)")
        }
    }

    private var sizes: [Int] { events.split(separator: ",").compactMap { Int($0) } }

    func run() async throws {
        guard let version = RoomVersion(version) else { return }
        let wanted = only.map { Set($0.split(separator: ",").compactMap { ForkedHistory(rawValue: String($0)) }) }
        var rows = [["room", "state events", "forks", "keys in conflict", "cold, ms", "warm, ms", "memory, MiB"]]
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        for history in ForkedHistory.allCases where wanted?.contains(history) ?? true {
            for size in sizes {
                let database: any Database
                if let postgres {
                    database = try await PostgresDatabase.open(PostgresConfiguration(url: postgres))
                } else {
                    database = try await SQLiteDatabase.open(
                        SQLiteConfiguration(.file("\(folder.path)/\(history.rawValue)\(size).db")))
                }
                let room = try await StoredForks(history, version, size: size, forks: forks, in: database)
                let figures = try await room.measure()
                rows.append(
                    [history.rawValue, "\(size)", "\(forks)", "\(figures.conflicted)"]
                        + [figures.cold, figures.warm, figures.mebibytes].map(Report.text))
                await database.close()
            }
        }
        print(Report.aligned(rows, textColumns: 1))
    }
}
