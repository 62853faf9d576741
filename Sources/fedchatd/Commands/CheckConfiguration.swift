import ArgumentParser
import Homeserver

/// `fedchatd check-config`
struct CheckConfiguration: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Says what is wrong with a configuration; exit status 0 or 1.")

    @OptionGroup var options: ConfigurationOption

    mutating func run() async throws {
        let loaded = try options.load()
        if Paths.exists(loaded.signingKeyFile) { _ = try SigningKeyFiles(path: loaded.signingKeyFile).load() }
        if loaded.homeserver.policyServer.isEnabled, Paths.exists(loaded.policyServerKeyFile) {
            _ = try SigningKeyFiles(path: loaded.policyServerKeyFile).loadPolicyServerKey()
        }
        if let file = loaded.storageKeyFile { _ = try StorageKeyFile.keys(file) }
        print("\(options.config): ok")
    }
}
