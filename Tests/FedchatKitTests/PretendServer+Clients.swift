import ClientEncryption
import Cryptography
import FedchatKit
import FedchatTesting
import Logging
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

/// Real clients of a pretended server.
extension PretendServer {
    /// Opens a client: a new one, or that of a store, which it may reach otherwise.
    func open(
        _ name: String, _ database: SQLiteDatabase? = nil, clock: PretendClock = PretendClock(),
        through: (SQLiteDatabase) -> any Database = { $0 }
    ) async throws -> (Client, SQLiteDatabase) {
        let isNew = database == nil
        let database = try database ?? SQLiteDatabase.inMemory()
        let key = try StoreKey([UInt8](repeating: 3, count: 32))
        if isNew {
            try await Migrator.migrate(database, ClientSchema.migrations, oldestCompatible: 1)
            let store = ClientStore(key: key, random: SystemRandomSource())
            let credentials = Credentials(
                user: try UserID("@\(name):a"), device: try DeviceID("PHONE"), accessToken: "@\(name):a|PHONE")
            try await database.write { try store.setCredentials(credentials, in: $0) }
        }
        let client = try await Client.open(
            Client.Parts(
                database: through(database), key: key, http: self, clock: ShortClock(), now: { clock.now },
                random: SystemRandomSource(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }),
            homeserver: try Homeserver("https://a"))
        try await client.publishKeys()
        return (client, database)
    }

    /// Opens a new client, of whose database it is counted how often it writes.
    func openCounting(
        _ name: String, clock: PretendClock = PretendClock()
    ) async throws -> (Client, CountingDatabase) {
        let found = Mutex<CountingDatabase?>(nil)
        let (client, _) = try await open(name, clock: clock) { inner in
            let database = CountingDatabase(inner)
            found.withLock { $0 = database }
            return database
        }
        return (client, try #require(found.withLock { $0 }))
    }

    /// Runs clients while `work` goes on.
    static func running(_ clients: Client..., work: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for client in clients {
                group.addTask {
                    try await client.run()
                    return false
                }
            }
            group.addTask {
                try await work()
                return true
            }
            while let isDone = try await group.next() { if isDone { break } }
            group.cancelAll()
        }
    }
}
