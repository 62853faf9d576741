import ArgumentParser
import Homeserver
import HomeserverStorage

/// `fedchatd registration-tokens`
struct RegistrationTokens: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registration-tokens", abstract: "Makes and revokes tokens that let people register.",
        subcommands: [Create.self, List.self, Revoke.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes a token and prints it.")
        @OptionGroup var options: ConfigurationOption
        @Option(help: "How often it may be used; without it, any number of times.") var uses: Int64?

        mutating func run() async throws {
            let uses = uses
            try await Administration.on(options) { administration in
                print(try await administration.createRegistrationToken(usesAllowed: uses))
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Prints the tokens, one a line.")
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            try await Administration.on(options) { administration in
                for token in try await administration.listRegistrationTokens() { print(token.text) }
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Takes a token back.")
        @Argument var token: String
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let token = token
            try await Administration.on(options) { administration in
                guard try await administration.revokeRegistrationToken(token) else {
                    throw ExitWith.configuration("there is no such token")
                }
            }
        }
    }
}
