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

        @OptionGroup var keys: KeyFile

        func run() throws {
            let answer = try keys.ask("keys.export", options)
            options.show(answer, "\(answer["count"]?.integer ?? 0) room keys")
        }
    }

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read room keys from a file.", discussion: "Ends with 4 for a wrong passphrase.")
        @OptionGroup var options: CommonOptions

        @OptionGroup var keys: KeyFile

        func run() throws {
            let answer = try keys.ask("keys.import", options)
            options.show(
                answer, "\(answer["count"]?.integer ?? 0) room keys, \(answer["new"]?.integer ?? 0) of them new")
        }
    }

    /// The background process runs elsewhere.
    static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }
}

/// A file of room keys, and what it is sealed under.
struct KeyFile: ParsableArguments {
    @Argument(help: "The file; written with mode 0600.")
    var file: String

    @Option(name: .customLong("passphrase-file"), help: SecretInput.help("its passphrase"))
    var passphraseFile: String?

    func ask(_ method: String, _ options: CommonOptions) throws -> JSONValue {
        let profile = try options.begin()
        let passphrase = try SecretInput.read(passphraseFile, "Passphrase of the file")
        return try DaemonClient.connect(profile).ask(
            method, ["passphrase": .string(passphrase), "file": .string(Keys.absolute(file))])
    }
}
