import Cryptography
import Federation
import HTTPClientCurl
import Homeserver
import HomeserverStorage
import Logging
import MatrixModel
import PostgresEngine
import SQLDatabase
import SQLiteEngine

/// Makes the parts that a configuration names.
enum Wiring {
    /// Opens the database and brings it to the newest schema.
    static func database(_ loaded: LoadedConfiguration) async throws -> any Database {
        do {
            let database = try await open(loaded)
            try await Instance.migrate(database)
            return database
        } catch {
            throw ExitWith.unreachable("\(loaded.file): database: \(error)")
        }
    }

    /// Opens the database as it is.
    static func open(_ loaded: LoadedConfiguration) async throws -> any Database {
        if let url = loaded.postgresURL {
            var configuration = PostgresConfiguration(url: url)
            if let pool = loaded.databasePool {
                configuration.writers = max(1, pool / 3)
                configuration.readers = max(1, pool - configuration.writers)
            }
            return try await PostgresDatabase.open(configuration)
        }
        var configuration = SQLiteConfiguration(.file(loaded.sqlitePath ?? ""))
        if let pool = loaded.databasePool { configuration.readers = pool }
        return try await SQLiteDatabase.open(configuration)
    }

    static func sealer(_ loaded: LoadedConfiguration, _ random: any RandomSource) throws -> StorageSealer {
        guard let file = loaded.storageKeyFile else { return StorageSealer(keys: [], random: random) }
        let keys = try StorageKeyFile.keys(file).compactMap { StorageSealer.Key(id: $0.id, bytes: $0.key) }
        return StorageSealer(keys: keys, random: random)
    }

    /// The environment of a homeserver, or of an admin command on its database.
    static func environment(
        _ loaded: LoadedConfiguration, _ database: any Database, log: LogSettings? = nil
    ) throws -> Environment {
        guard let serverName = loaded.serverName else {
            throw ConfigurationError(file: loaded.file, key: "server_name", expected: "is missing")
        }
        let random = SystemRandomSource()
        let log = log ?? LogSettings(loaded)
        var settings = CurlClient.Configuration()
        settings.customAuthorityFiles = loaded.customCAFiles
        settings.userAgent = "fedchatd/\(Fedchatd.version)"
        let client: CurlClient
        do { client = try CurlClient(settings) } catch {
            throw ExitWith.configuration("\(loaded.file): federation.custom_ca_files: \(error)")
        }
        let signingKeys = try SigningKeyFiles(path: loaded.signingKeyFile).loadOrMake(random)
        return Environment(
            serverName: serverName, configuration: loaded.homeserver, database: database,
            sealer: try sealer(loaded, random), clock: SystemClock(), random: random,
            signingKeys: signingKeys, httpClient: client,
            logger: Logger(label: "fedchatd") { _ in LineLogHandler(log) },
            mailSender: mailServer(loaded).map { CurlMailSender(client, $0) },
            policyServerKey: loaded.homeserver.policyServer.isEnabled
                ? try SigningKeyFiles(path: loaded.policyServerKeyFile).loadOrMakePolicyServerKey(random) : nil)
    }

    /// The mail server that a configuration names.
    static func mailServer(_ loaded: LoadedConfiguration) -> SMTPServer? {
        let email = loaded.homeserver.email
        guard let host = email.host, let name = loaded.serverName else { return nil }
        return SMTPServer(
            host: host, port: email.port, security: SMTPServer.Security(rawValue: email.tls) ?? .starttls,
            username: email.username, password: email.password, ownName: name.host,
            verifyTLS: loaded.homeserver.outbound.verifyTLS)
    }
}
