import ArgumentParser
import FedchatKit
import Foundation
import MatrixModel

struct Recovery: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Your secrets on the server, sealed under a recovery key that only you have.",
        subcommands: [Create.self, Restore.self])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Store the secrets under a new recovery key, and print it: write it down.",
            discussion: "Makes a key backup if there is none. A recovery key of before opens nothing new.")
        @OptionGroup var options: CommonOptions

        @Option(name: .customLong("passphrase-file"), help: SecretInput.help("a passphrase that opens it too"))
        var passphraseFile: String?

        @Option(
            name: .customLong("output"), help: "Write the recovery key into this file (mode 0600), not to the output.")
        var output: String?

        func run() throws {
            let profile = try options.begin()
            let passphrase = try passphraseFile.map { try SecretInput.read($0, "Passphrase") }
            let answer = try DaemonClient.connect(profile).ask(
                "recovery.create", .fields(["passphrase": passphrase.map { .string($0) }]))
            let key = answer["recovery_key"]?.string ?? ""
            if let output {
                try PrivateFile.write(Array("\(key)\n".utf8), to: output)
                options.show(["file": .string(output)], "written to \(output)")
            } else {
                options.show(answer, key)
            }
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Open the secrets with the recovery key or passphrase, sign this device, and read the backup.",
            discussion: "Ends with 4 if the key opens nothing.")
        @OptionGroup var options: CommonOptions

        @Option(name: .customLong("key-file"), help: SecretInput.help("the recovery key or passphrase"))
        var keyFile: String?

        func run() throws {
            let profile = try options.begin()
            let key = try SecretInput.read(keyFile, "Recovery key or passphrase")
            let answer = try DaemonClient.connect(profile).ask("recovery.restore", ["key": .string(key)])
            let secrets = answer["secrets"]?.elements.compactMap(\.string) ?? []
            let keys = answer["backup"].map { "; \($0["new"]?.integer ?? 0) room keys from the backup" } ?? ""
            options.show(answer, "recovered \(secrets.joined(separator: ", "))\(keys)")
            if secrets.isEmpty {
                throw Failure("secret storage holds nothing of the identity in use", Failure.Status.untrustedKey)
            }
        }
    }
}
