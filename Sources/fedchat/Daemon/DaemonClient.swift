import Foundation
import MatrixModel

/// A command's connection to the process that owns the keys, which it starts if there is none.
final class DaemonClient {
    let descriptor: Int32
    private var reader: LineReader
    private var nextID: Int64 = 0
    private var lines = LineBuffer(limit: RPC.maximumLine)

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
        reader = LineReader(descriptor)
    }

    deinit { close(descriptor) }

    /// Connects. Throws `notLoggedIn`, or why the process does not start.
    static func connect(_ profile: Profile) throws -> DaemonClient {
        let wanted = profile.givenAuthorityFile
        let session = try SessionFile(of: profile)
        if let wanted, wanted != session.authorityFile {
            try StoreOpening(profile: profile).check(authorityFile: wanted)
        }
        let end = Date().addingTimeInterval(20)
        var spawnLock: FileLock?
        var spawned: pid_t?
        while Date() < end {
            if let descriptor = UnixSocket.connect(profile.socket) {
                let client = DaemonClient(descriptor)
                if let hello = try? client.ask("hello"), hello["version"]?.integer == RPC.version,
                    wanted == nil || hello["ca_file"]?.string == wanted
                {
                    return client
                }
                // Of another version, or it trusts other authorities: it makes room for ours.
                _ = try? client.ask("stop")
            }
            if spawnLock == nil { spawnLock = try FileLock.take(profile.spawnLockFile) }
            if spawnLock != nil {
                if let process = spawned {
                    var status: Int32 = 0
                    if waitpid(process, &status, WNOHANG) == process {
                        spawned = nil
                        let code = (status >> 8) & 0xFF
                        guard status & 0x7F == 0, code == 0 else { throw failure(of: profile, code) }
                    }
                } else {
                    spawned = try DaemonSpawning.spawn(profile)
                }
            }
            usleep(10_000)
        }
        throw Failure("the background process does not answer: see \(profile.logFile)", Failure.Status.unexpected)
    }

    private static func failure(of profile: Profile, _ code: Int32) -> Failure {
        let log = FileManager.default.contents(atPath: profile.logFile).map { String(decoding: $0, as: UTF8.self) }
        let last = log?.split(separator: "\n").last.map(String.init) ?? "see \(profile.logFile)"
        return Failure(
            "the background process ended: \(last.replacingOccurrences(of: "fedchat: ", with: ""))",
            code == 0 ? Failure.Status.unexpected : code)
    }

    /// One request and its answer; `event` gets what comes in between, `notice` what the user should know besides.
    @discardableResult
    func ask(
        _ method: String, _ params: JSONValue = [:], event: (JSONValue) -> Void = { _ in },
        notice: (JSONValue) -> Void = DaemonClient.warn
    ) throws -> JSONValue {
        nextID += 1
        guard UnixSocket.write(RPC.request(nextID, method, params), to: descriptor) else { throw Self.lost }
        while let line = reader.next() {
            let message = try JSONValue.parse(line)
            if message["method"]?.string == "event", let params = message["params"] {
                event(params)
            } else if message["method"]?.string == "notice", let params = message["params"] {
                notice(params)
            } else if message["id"]?.integer == nextID {
                if let result = message["result"] { return result }
                throw Self.failure(message)
            }
        }
        throw Self.lost
    }

    /// Why a request failed.
    static func failure(_ message: JSONValue) -> Failure {
        Failure(
            message["error", "message"]?.string ?? "unexpected",
            Int32(clamping: message["error", "data", "exit"]?.integer ?? 2))
    }

    // MARK: Requests that go on while others wait

    /// Makes a request; its answer comes among `received()`.
    func begin(_ method: String, _ params: JSONValue) throws -> Int64 {
        nextID += 1
        guard UnixSocket.write(RPC.request(nextID, method, params), to: descriptor) else { throw Self.lost }
        return nextID
    }

    /// Says something that has no answer.
    func tell(_ method: String, _ params: JSONValue) throws {
        guard UnixSocket.write(RPC.notification(method, params), to: descriptor) else { throw Self.lost }
    }

    /// Reads once, when there is something to read; the messages that are whole now.
    func received() throws -> [JSONValue] {
        var piece = [UInt8](repeating: 0, count: 65_536)
        let count = piece.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else {
            if count < 0, errno == EINTR { return [] }
            throw Self.lost
        }
        let found = lines.take(piece[..<count])
        guard !lines.isTooLong else { throw Self.lost }
        return try found.map { try JSONValue.parse($0) }
    }

    private static let lost = Failure("the background process ended unexpectedly", Failure.Status.unexpected)
}
