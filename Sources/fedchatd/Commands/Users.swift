import ArgumentParser
import Foundation
import Glibc
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase

/// `fedchatd users`
struct Users: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes and changes users of the server's database.",
        subcommands: [
            Create.self, List.self, ResetPassword.self, EndSessions.self, Deactivate.self, Reactivate.self,
            MakeAdmin.self,
        ])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a user; the password is asked for, or read from stdin.")
        @Argument(help: "The name before the colon.") var name: String
        @OptionGroup var options: ConfigurationOption
        @OptionGroup var password: PasswordOption
        @Flag(help: "Makes the user an administrator.") var admin = false

        mutating func run() async throws {
            let password = try password.read()
            let (name, admin) = (name, admin)
            try await Administration.on(options) { administration in
                print(try await administration.createUser(name, password: password, isAdmin: admin))
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Prints the users, one a line.")
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            try await Administration.on(options) { administration in
                for account in try await administration.listUsers() {
                    var line = account.user.text
                    if account.isAdmin { line += " admin" }
                    if account.isDeactivated { line += " deactivated" }
                    print(line)
                }
            }
        }
    }

    struct ResetPassword: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sets another password and ends the user's sessions.")
        @Argument var name: String
        @OptionGroup var options: ConfigurationOption
        @OptionGroup var password: PasswordOption

        mutating func run() async throws {
            let password = try password.read()
            let name = name
            try await Administration.on(options) { try await $0.resetPassword(of: name, to: password) }
        }
    }

    struct EndSessions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Logs a user out everywhere.")
        @Argument var name: String
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let name = name
            try await Administration.on(options) { try await $0.endSessions(of: name) }
        }
    }

    struct Reactivate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets a deactivated account be used again, with the password given.")
        @Argument var name: String
        @OptionGroup var options: ConfigurationOption
        @OptionGroup var password: PasswordOption

        mutating func run() async throws {
            let password = try password.read()
            let name = name
            try await Administration.on(options) { try await $0.reactivate(name, password: password) }
        }
    }

    struct Deactivate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Ends an account, until it is reactivated.")
        @Argument var name: String
        @OptionGroup var options: ConfigurationOption
        @Flag(help: "Asks that what the user sent be hidden from new members.") var erase = false

        mutating func run() async throws {
            let (name, erase) = (name, erase)
            try await Administration.on(options) { try await $0.deactivate(name, erase: erase) }
        }
    }

    struct MakeAdmin: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes a user an administrator.")
        @Argument var name: String
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let name = name
            try await Administration.on(options) { try await $0.setAdmin(name) }
        }
    }
}

/// Where a password comes from: never an argument.
struct PasswordOption: ParsableArguments {
    @Option(
        name: .long, help: "A file whose first line is the password; without it, it is asked for or read from stdin.")
    var passwordFile: String?

    func read() throws -> String {
        if let passwordFile {
            do {
                return try Paths.secret(passwordFile).split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
            } catch { throw ExitWith.configuration(error.expected) }
        }
        if isatty(STDIN_FILENO) == 1 {
            guard let text = getpass("Password: ") else { throw ExitWith.configuration("no password was given") }
            return String(cString: text)
        }
        guard let line = readLine(), !line.isEmpty else { throw ExitWith.configuration("no password on stdin") }
        return line
    }
}

/// Runs an admin command on the server's database.
enum Administration {
    static func on(
        _ options: ConfigurationOption, _ work: (AccountAdministration) async throws -> Void
    ) async throws {
        let loaded = try options.load()
        let database = try await Wiring.database(loaded)
        do {
            try await work(AccountAdministration(environment: try Wiring.environment(loaded, database)))
        } catch let refusal as AccountAdministration.Refusal {
            await database.close()
            throw ExitWith.configuration("\(refusal)")
        }
        await database.close()
    }
}
