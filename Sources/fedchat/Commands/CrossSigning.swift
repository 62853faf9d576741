import ArgumentParser
import MatrixModel

struct CrossSigning: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Your identity: the keys that sign your devices and the people whom you verified.",
        subcommands: [Status.self, Bootstrap.self, Reset.self, Accept.self], defaultSubcommand: Status.self)

    static func show(_ answer: JSONValue, _ options: CommonOptions) {
        func yes(_ key: String) -> Bool { answer[key]?.bool == true }
        guard let master = answer["master"]?.string else {
            return options.show(answer, "no identity: run \"fedchat cross-signing bootstrap\"")
        }
        let lines = [
            "identity\t\(master)", "trusted by this device\t\(yes("trusted") ? "yes" : "NO")",
            "this device is signed\t\(yes("device_signed") ? "yes" : "NO")",
            "private keys here\t\(answer["private_keys"]?.elements.compactMap(\.string).joined(separator: ", ") ?? "")",
            answer["changed"]?.string.map { "CHANGED\tthe identity of before was \($0)" },
        ].compactMap { $0 }
        options.show(answer, lines.joined(separator: "\n"))
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show your identity as the server has it.")
        @OptionGroup var options: CommonOptions

        func run() throws {
            CrossSigning.show(try DaemonClient.connect(try options.begin()).ask("cross-signing.status"), options)
        }
    }

    struct Bootstrap: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an identity, if there is none, and sign this device with it.")
        @OptionGroup var options: CommonOptions

        @Option(name: .customLong("password-file"), help: SecretInput.help("your password"))
        var passwordFile: String?

        func run() throws {
            let profile = try options.begin()
            let password = try passwordFile.map { try SecretInput.read($0, "Password") }
            let answer = try DaemonClient.connect(profile).ask(
                "cross-signing.bootstrap", .fields(["password": password.map { .string($0) }]))
            CrossSigning.show(answer, options)
        }
    }

    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new identity in place of the one there is.",
            discussion: "Everybody who verified you is warned, and your other devices must be verified again.")
        @OptionGroup var options: CommonOptions

        @Option(name: .customLong("password-file"), help: SecretInput.help("your password"))
        var passwordFile: String?

        func run() throws {
            let profile = try options.begin()
            let password = try SecretInput.read(passwordFile, "Password")
            let answer = try DaemonClient.connect(profile).ask(
                "cross-signing.bootstrap", ["password": .string(password), "reset": true])
            CrossSigning.show(answer, options)
        }
    }

    struct Accept: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take the new identity of somebody whose identity has changed, without verifying it.")
        @OptionGroup var options: CommonOptions

        @Argument(help: "@user:server")
        var user: String

        func run() throws {
            guard (try? UserID(user)) != nil else { throw Failure("not a user: \(user)", Failure.Status.usage) }
            let answer = try DaemonClient.connect(try options.begin()).ask(
                "cross-signing.accept", ["user": .string(user)])
            options.show(answer, "accepted, not verified")
        }
    }
}
