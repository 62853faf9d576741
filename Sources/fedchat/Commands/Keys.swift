import ArgumentParser
import Foundation
import MatrixModel

struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Room keys in files under a passphrase, as other clients read and write them.",
        subcommands: [Export.self, Import.self])

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Write all room keys into a file.")
        @OptionGroup var options: CommonOptions

        @Argument(help: "The file; mode 0600.")
        var file: String

        @Option(
            name: .customLong("passphrase-file"),
            help: "A file (mode 0600) with the passphrase; \"-\" for standard input.")
        var passphraseFile: String?

        func run() throws {
            let profile = try options.begin()
            let passphrase = try SecretInput.read(passphraseFile, "Passphrase for the file")
            let answer = try DaemonClient.connect(profile).ask(
                "keys.export", ["passphrase": .string(passphrase), "file": .string(Keys.absolute(file))])
            options.show(answer, "\(answer["count"]?.integer ?? 0) room keys")
        }
    }

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read room keys from a file.", discussion: "Ends with 4 for a wrong passphrase.")
        @OptionGroup var options: CommonOptions

        @Argument(help: "The file.")
        var file: String

        @Option(
            name: .customLong("passphrase-file"),
            help: "A file (mode 0600) with the passphrase; \"-\" for standard input.")
        var passphraseFile: String?

        func run() throws {
            let profile = try options.begin()
            let passphrase = try SecretInput.read(passphraseFile, "Passphrase of the file")
            let answer = try DaemonClient.connect(profile).ask(
                "keys.import", ["passphrase": .string(passphrase), "file": .string(Keys.absolute(file))])
            options.show(
                answer, "\(answer["count"]?.integer ?? 0) room keys, \(answer["new"]?.integer ?? 0) of them new")
        }
    }

    /// The background process runs elsewhere.
    static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }
}
