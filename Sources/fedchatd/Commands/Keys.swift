import ArgumentParser
import Cryptography
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase

/// `fedchatd keys`
struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows or rotates the signing key.", subcommands: [Show.self, Rotate.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Prints the public keys.")
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let loaded = try options.load()
            Keys.report(try SigningKeyFiles(path: loaded.signingKeyFile).load())
            if loaded.homeserver.policyServer.isEnabled {
                let key = try SigningKeyFiles(path: loaded.policyServerKeyFile).loadPolicyServerKey().publicKey
                print("policy_server \(RoomPolicy.keyID) \(Base64.encode(key.bytes, .standardUnpadded))")
            }
            guard let file = loaded.storageKeyFile else { return }
            let keys = try StorageKeyFile.keys(file)
            let sealer = try Wiring.sealer(loaded, SystemRandomSource())
            let database = try await Wiring.database(loaded)
            let isDone = try await database.write { try Resealing($0, sealer).isDone() }
            await database.close()
            for (index, key) in keys.enumerated() {
                let use =
                    index == 0 ? "seals" : isDone ? "may go: everything is sealed under the first key" : "still needed"
                print("storage \(key.id) \(use)")
            }
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a new signing key and retires the old one. Restart the server after it.")
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let loaded = try options.load()
            let keys = try SigningKeyFiles(path: loaded.signingKeyFile)
                .rotate(now: SystemClock().now(), SystemRandomSource())
            Keys.report(keys)
        }
    }

    static func report(_ keys: SigningKeys) {
        print("current \(keys.keyID) \(Base64.encode(keys.current.publicKey.bytes, .standardUnpadded))")
        for old in keys.retired {
            print("retired \(old.keyID) \(Base64.encode(old.publicKey.bytes, .standardUnpadded)) \(old.expired)")
        }
    }
}
