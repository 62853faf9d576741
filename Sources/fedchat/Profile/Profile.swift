import Cryptography
import FedchatKit
import Foundation
import MatrixModel

/// One session's files.
struct Profile: Sendable {
    let name: String
    /// Configuration: the store's key.
    let configuration: String
    /// The store, the session's public part, locks.
    let storage: String
    /// The background process's log.
    let state: String
    /// The background process's socket.
    let socket: String
    /// The folder that was given for all of it.
    let folder: String?
    /// What logging in trusts: the option's, or else FEDCHAT_CA_FILE; a session keeps it.
    let authorityFile: String?
    /// The option's, which a session takes instead of what it kept.
    let givenAuthorityFile: String?
    let passphraseFile: String?
    let idleSeconds: Double

    init(name: String?, folder: String?, authorityFile: String?, environment: [String: String]) throws {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let name = name ?? variable("FEDCHAT_PROFILE") ?? "default"
        guard (1...64).contains(name.utf8.count), name.first != ".",
            name.utf8.allSatisfy({
                $0 < 128
                    && (Character(UnicodeScalar($0)).isLetter
                        || Character(UnicodeScalar($0)).isNumber || [0x2D, 0x2E, 0x5F].contains($0))
            })
        else { throw Failure("a profile's name is letters, digits, '.', '_' and '-'", Failure.Status.usage) }
        self.name = name
        self.folder = (folder ?? variable("FEDCHAT_CONFIG_DIR")).map(Self.absolute)
        givenAuthorityFile = authorityFile.map(Self.absolute)
        self.authorityFile = givenAuthorityFile ?? variable("FEDCHAT_CA_FILE").map(Self.absolute)
        passphraseFile = variable("FEDCHAT_PASSPHRASE_FILE").map(Self.absolute)
        idleSeconds = variable("FEDCHAT_IDLE_SECONDS").flatMap(Double.init) ?? 300
        let home = variable("HOME") ?? NSHomeDirectory()
        func xdg(_ name: String, _ standard: String) -> String {
            // The XDG specification: a path that is not absolute is ignored.
            variable(name).flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "\(home)/\(standard)"
        }
        if let folder = self.folder {
            configuration = "\(folder)/\(name)"
            storage = "\(folder)/\(name)"
            state = "\(folder)/\(name)"
        } else {
            configuration = "\(xdg("XDG_CONFIG_HOME", ".config"))/fedchat/\(name)"
            storage = "\(xdg("XDG_DATA_HOME", ".local/share"))/fedchat/\(name)"
            state = "\(xdg("XDG_STATE_HOME", ".local/state"))/fedchat/\(name)"
        }
        // The hash keeps two homes apart that share a runtime directory.
        let mark = Hex.encode(SHA256.hash(Array(storage.utf8)).prefix(6))
        let runtime = variable("XDG_RUNTIME_DIR").flatMap { $0.hasPrefix("/") ? $0 : nil }
        let candidates = [runtime.map { "\($0)/fedchat-\(mark).sock" }, "\(storage)/daemon.sock"].compactMap { $0 }
        guard let socket = candidates.first(where: { $0.utf8.count <= 100 }) else {
            throw Failure("the path of the socket is too long: set XDG_RUNTIME_DIR", Failure.Status.usage)
        }
        self.socket = socket
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }

    var database: String { "\(storage)/store.db" }
    var sessionFile: String { "\(storage)/session.json" }
    var lockFile: String { "\(storage)/lock" }
    var spawnLockFile: String { "\(storage)/spawn.lock" }
    var keyFile: String { "\(configuration)/store.key" }
    var saltFile: String { "\(configuration)/store.salt" }
    var logFile: String { "\(state)/daemon.log" }

    /// Makes the folders, for their owner only.
    func makeFolders() throws {
        for folder in Set([configuration, storage, state]) {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
    }
}
