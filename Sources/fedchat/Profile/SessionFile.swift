import FedchatKit
import Foundation
import MatrixModel

/// What may be read without a key: who is logged in, and where.
struct SessionFile: Sendable {
    let homeserver: Homeserver
    let user: UserID
    let device: DeviceID
    var authorityFile: String?

    init(homeserver: Homeserver, user: UserID, device: DeviceID, authorityFile: String?) {
        self.homeserver = homeserver
        self.user = user
        self.device = device
        self.authorityFile = authorityFile
    }

    /// The session of a profile. Throws `notLoggedIn`.
    init(of profile: Profile) throws {
        guard let bytes = FileManager.default.contents(atPath: profile.sessionFile) else { throw Failure.notLoggedIn }
        let value = try JSONValue.parse([UInt8](bytes))
        guard value["v"]?.integer == 1 else {
            throw Failure("\(profile.sessionFile) is of another version of fedchat", Failure.Status.unexpected)
        }
        homeserver = try Homeserver(try value.requiredString("homeserver"))
        user = try value.requiredIdentifier("user_id")
        device = try value.requiredIdentifier("device_id")
        authorityFile = value["ca_file"]?.string
    }

    func write(to profile: Profile) throws {
        let value: JSONValue = .fields([
            "v": 1, "homeserver": .string(homeserver.description), "user_id": .string(user.text),
            "device_id": .string(device.text), "ca_file": authorityFile.map { .string($0) },
        ])
        try PrivateFile.write(value.serialized() + [0x0A], to: profile.sessionFile)
    }
}

/// Files that only their owner can read.
enum PrivateFile {
    /// Writes all of it or nothing.
    static func write(_ bytes: [UInt8], to path: String) throws {
        let temporary = "\(path).\(getpid())"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("cannot write \(path)", Failure.Status.unexpected) }
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        let isDurable = fsync(descriptor) == 0
        close(descriptor)
        guard written == bytes.count, isDurable, rename(temporary, path) == 0 else {
            unlink(temporary)
            throw Failure("cannot write \(path)", Failure.Status.unexpected)
        }
    }

    /// The content. Throws if it is missing, or if others can read it.
    static func read(_ path: String, maximumBytes: Int = 65_536) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure("cannot read \(path)", Failure.Status.usage) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Failure("\(path) is not a file", Failure.Status.usage)
        }
        guard status.st_mode & 0o077 == 0 else {
            throw Failure("others can read \(path): chmod 600 it", Failure.Status.usage)
        }
        guard status.st_size <= maximumBytes else { throw Failure("\(path) is too long", Failure.Status.usage) }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        return Array(bytes.prefix(max(count, 0)))
    }

    /// A secret on the first line of a file.
    static func secret(_ path: String) throws -> String {
        let line = try read(path).prefix { $0 != 0x0A && $0 != 0x0D }
        guard !line.isEmpty else { throw Failure("\(path) is empty", Failure.Status.usage) }
        return String(decoding: line, as: UTF8.self)
    }
}
