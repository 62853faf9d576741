import ClientEncryption
import Cryptography
import FedchatKit
import Foundation
import HTTPClientCurl
import HTTPMessages
import Logging
import SQLDatabase
import SQLiteEngine

/// Opens a profile's store. The process must hold the profile's lock.
struct StoreOpening {
    let profile: Profile

    /// From the passphrase, if one is given, else from the key file, which is made if need be.
    func key() throws -> StoreKey {
        let random = SystemRandomSource()
        if let file = profile.passphraseFile {
            let passphrase = Array(try PrivateFile.secret(file).utf8)
            if !FileManager.default.fileExists(atPath: profile.saltFile) {
                try PrivateFile.write(random.bytes(16), to: profile.saltFile)
            }
            return try StoreKey(passphrase: passphrase, salt: try PrivateFile.read(profile.saltFile))
        }
        if !FileManager.default.fileExists(atPath: profile.keyFile) {
            guard
                !FileManager.default.fileExists(atPath: profile.saltFile)
                    || !FileManager.default.fileExists(atPath: profile.database)
            else {
                throw Failure("the store is sealed by a passphrase: set FEDCHAT_PASSPHRASE_FILE", Failure.Status.usage)
            }
            try PrivateFile.write(random.bytes(XChaCha20Poly1305.keySize), to: profile.keyFile)
        }
        return try StoreKey(try PrivateFile.read(profile.keyFile))
    }

    func database() async throws -> any Database {
        let database = try await SQLiteDatabase.open(SQLiteConfiguration(.file(profile.database)))
        try await Migrator.migrate(
            database, ClientSchema.migrations, oldestCompatible: ClientSchema.oldestCompatible)
        return database
    }

    /// Whether a file of authorities can be used. Throws why not.
    func check(authorityFile: String) throws {
        do { _ = try http(authorityFile: authorityFile) } catch let error as HTTPClientError {
            throw Failure("--ca-file \(authorityFile) cannot be used: \(error)", Failure.Status.usage)
        }
    }

    func http(authorityFile: String?) throws -> CurlClient {
        var configuration = CurlClient.Configuration()
        configuration.customAuthorityFiles = [authorityFile ?? profile.authorityFile].compactMap { $0 }
        configuration.userAgent = "fedchat/0.1.0"
        return try CurlClient(configuration)
    }

    func parts(_ database: any Database, _ key: StoreKey, _ http: any HTTPClient) -> Client.Parts {
        Client.Parts(
            database: database, key: key, http: http, clock: ContinuousClock(),
            now: { Int64(Date().timeIntervalSince1970 * 1000) }, random: SystemRandomSource(),
            logger: Logger(label: "fedchat"))
    }

    /// Deletes the store and the session; the key stays for the next.
    func delete() {
        for suffix in ["", "-wal", "-shm", "-journal"] { unlink(profile.database + suffix) }
        unlink(profile.sessionFile)
    }
}
