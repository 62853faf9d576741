import ArgumentParser

/// The homeserver's command line.
struct Fedchatd: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "fedchatd",
        abstract: "A Matrix homeserver.",
        discussion: "Exit status: 0 ok, 1 configuration or usage, 2 unexpected, 3 database or network not reachable.",
        version: "fedchatd \(version)",
        subcommands: [
            Serve.self, Initialize.self, CheckConfiguration.self, Users.self, RegistrationTokens.self, Keys.self,
            Rooms.self, Media.self, Reports.self, Doctor.self,
        ],
        defaultSubcommand: Serve.self)
}

/// `--config`, which all but `init` take.
struct ConfigurationOption: ParsableArguments {
    @Option(name: .long, help: "The configuration file.")
    var config: String

    func load() throws -> LoadedConfiguration { try ConfigurationFile.load(config) }
}

/// Ends the program with a status of the contract.
struct ExitWith: Error {
    var status: Int32
    var message: String

    static func configuration(_ message: String) -> ExitWith { ExitWith(status: 1, message: message) }
    static func unreachable(_ message: String) -> ExitWith { ExitWith(status: 3, message: message) }
}
