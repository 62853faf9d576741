import ArgumentParser
import Cryptography
import Foundation
import MatrixModel

/// `fedchatd init`
struct Initialize: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Writes a configuration file and makes the signing key.")

    @Option(name: .long, help: "The name after the colon in ids; it never changes.")
    var serverName: String

    @Option(name: .long, help: "Where clients reach the server, such as https://chat.example.org.")
    var publicBaseURL: String

    @Option(name: .long, help: "The folder to write to.")
    var dir: String = "."

    @Option(name: .long, help: "A libpq URL; without it the database is SQLite.")
    var postgres: String?

    static func validated(_ name: String) throws -> ServerName {
        do { return try ServerName(name) } catch {
            throw ExitWith.configuration("--server-name: \(name) is no server name")
        }
    }

    mutating func run() async throws {
        let folder = Paths.absolute(dir, from: Paths.currentFolder)
        let file = folder + "/fedchatd.yaml"
        _ = try Self.validated(serverName)
        guard !Paths.exists(file) else { throw ExitWith.configuration("\(file) exists; it is not overwritten") }
        let text = ConfigurationFile.initial(serverName: serverName, publicBaseURL: publicBaseURL, postgres: postgres)
        // What is written must be what is read.
        let loaded = try ConfigurationFile.parse(text, file: file, environment: [:])
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch { throw ExitWith.configuration("\(folder): the folder cannot be made") }
        _ = try SigningKeyFiles(path: loaded.signingKeyFile).loadOrMake(SystemRandomSource())
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw ExitWith.configuration("\(file): cannot be written") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            throw ExitWith.configuration("\(file): cannot be written")
        }
        print(file)
    }
}
