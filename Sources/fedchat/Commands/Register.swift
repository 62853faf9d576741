import ArgumentParser
import FedchatKit
import Foundation
import MatrixModel
import SQLDatabase

/// What registering and logging in have in common.
struct LoginOptions: ParsableArguments {
    @Option(help: "The homeserver's URL; plain http only to this machine.")
    var homeserver: String

    @Option(help: "Your name on it.")
    var user: String

    @Option(name: .customLong("password-file"), help: "A file (mode 0600) with the password on its first line.")
    var passwordFile: String

    @Option(name: .customLong("device-name"), help: "What your other devices call this one.")
    var deviceName: String = "fedchat"

    /// Takes the profile's lock, logs in through `work`, and makes the store.
    func run(
        _ options: CommonOptions, _ work: (Authentication, _ password: String) async throws -> Credentials
    ) async throws {
        let profile = try options.begin()
        let server = try Homeserver(homeserver)
        let password = try PrivateFile.secret(passwordFile)
        try profile.makeFolders()
        if let session = try? SessionFile(of: profile) {
            throw Failure(
                "already logged in as \(session.user): log out first, or use another --profile", Failure.Status.usage)
        }
        guard let lock = try FileLock.take(profile.lockFile, seconds: 5) else {
            throw Failure("another fedchat is using this profile", Failure.Status.unexpected)
        }
        let opening = StoreOpening(profile: profile)
        let key = try opening.key()
        let http = try opening.http(authorityFile: profile.authorityFile)
        let connection = HomeserverConnection(server, http: http, clock: ContinuousClock())
        let credentials = try await work(Authentication(connection, deviceName: deviceName), password)
        opening.delete()
        let database = try await opening.database()
        let store = ClientStore(key: key, random: opening.parts(database, key, http).random)
        try await database.write { try store.setCredentials(credentials, in: $0) }
        let client = try await Client.open(opening.parts(database, key, http), homeserver: server)
        try await client.publishKeys()
        try SessionFile(
            homeserver: server, user: credentials.user, device: credentials.device, authorityFile: profile.authorityFile
        ).write(to: profile)
        await database.close()
        withExtendedLifetime(lock) {}
        options.show(
            ["user_id": .string(credentials.user.text), "device_id": .string(credentials.device.text)],
            "\(credentials.user) \(credentials.device)")
    }
}

struct Register: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make an account and log in.")
    @OptionGroup var options: CommonOptions
    @OptionGroup var login: LoginOptions

    @Option(name: .customLong("token-file"), help: "A file (mode 0600) with a registration token.")
    var tokenFile: String?

    func run() async throws {
        let token = try tokenFile.map { try PrivateFile.secret($0) }
        try await login.run(options) { authentication, password in
            try await authentication.register(user: login.user, password: password, token: token)
        }
    }
}

struct Login: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Log in with a password, as a new device.")
    @OptionGroup var options: CommonOptions
    @OptionGroup var login: LoginOptions

    func run() async throws {
        try await login.run(options) { authentication, password in
            try await authentication.login(user: login.user, password: password)
        }
    }
}

struct Logout: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End the session, and delete its store. Messages that only this device can read are lost.")
    @OptionGroup var options: CommonOptions

    func run() throws {
        let profile = try options.begin()
        try DaemonClient.connect(profile).ask("logout")
        options.show([:], "logged out")
    }
}

struct WhoAmI: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whoami", abstract: "Who is logged in. Does not ask the server.")
    @OptionGroup var options: CommonOptions

    func run() throws {
        let profile = try options.begin()
        guard profile.givenAuthorityFile == nil else {
            throw Failure("whoami asks no server: --ca-file does nothing here", Failure.Status.usage)
        }
        let session = try SessionFile(of: profile)
        options.show(
            [
                "user_id": .string(session.user.text), "device_id": .string(session.device.text),
                "homeserver": .string(session.homeserver.description),
            ], "\(session.user) \(session.device) \(session.homeserver)")
    }
}
