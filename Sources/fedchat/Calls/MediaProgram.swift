import FedchatKit
import Foundation
import MatrixModel

/// The program that has microphone, loudspeaker and connection: a child that reads and writes lines of JSON. It has a
/// process group of its own, so that Ctrl-C reaches it through us, after the other side was told.
final class MediaProgram {
    /// What it writes.
    let output: Int32
    private let process: pid_t
    private var input: Int32
    private var pending: [UInt8] = []
    private var lines = LineBuffer(limit: ClientLimits.mediaLineBytes)
    private var isReaped = false
    /// Whether nothing comes from it any more.
    private(set) var hasEnded = false

    /// Runs a shell's command; its standard error is ours.
    init(_ command: String) throws {
        let (programReads, weWrite) = try PipeEnds.make()
        let (weRead, programWrites) = try PipeEnds.make()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, programReads, 0)
        posix_spawn_file_actions_adddup2(&actions, programWrites, 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for number in [SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGTTIN] { sigaddset(&defaults, number) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP) | Int16(POSIX_SPAWN_SETSIGDEF))
        let words = ["sh", "-c", command]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process = pid_t()
        let result = posix_spawn(&process, "/bin/sh", &actions, &attributes, &arguments, environ)
        close(programReads)
        close(programWrites)
        guard result == 0 else {
            close(weWrite)
            close(weRead)
            throw Failure("cannot start the media program", Failure.Status.unexpected)
        }
        self.process = process
        input = weWrite
        output = weRead
        // It may be slow to read: we do not wait for it.
        _ = fcntl(input, F_SETFL, fcntl(input, F_GETFL) | O_NONBLOCK)
    }

    deinit { close(output) }

    /// Where what waits to be written goes; nil if nothing waits.
    var waitingInput: Int32? { pending.isEmpty || input < 0 ? nil : input }

    /// Gives it a line. False if it does not read what it is given.
    func write(_ line: JSONValue) -> Bool {
        pending += line.serialized() + [0x0A]
        flush()
        return input >= 0 && pending.count <= Self.maximumPending
    }

    private static let maximumPending = 4 << 20

    func flush() {
        while !pending.isEmpty, input >= 0 {
            let count = pending.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            if count > 0 {
                pending.removeFirst(count)
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                closeInput()
            }
        }
    }

    private func closeInput() {
        if input >= 0 { close(input) }
        input = -1
        pending = []
    }

    /// The lines that have come; sets `hasEnded` at their end, or if they cannot be read.
    func read() -> [JSONValue] {
        var piece = [UInt8](repeating: 0, count: 65_536)
        let count = piece.withUnsafeMutableBytes { Glibc.read(output, $0.baseAddress, $0.count) }
        guard count > 0 else {
            if count == 0 || errno != EINTR { hasEnded = true }
            return []
        }
        let found = lines.take(piece[..<count])
        if lines.isTooLong { hasEnded = true }
        var values: [JSONValue] = []
        for line in found where !line.allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) {
            guard let value = try? JSONValue.parse(line), value.isObject else {
                hasEnded = true
                break
            }
            values.append(value)
        }
        return values
    }

    /// Lets it end by itself for a moment, then ends it and all that it started.
    func end() {
        flush()
        closeInput()
        if !waits(3) {
            kill(-process, SIGTERM)
            if !waits(2) {
                kill(-process, SIGKILL)
                _ = waits(2)
            }
        }
        // What it left behind.
        kill(-process, SIGKILL)
    }

    private func waits(_ seconds: Double) -> Bool {
        let end = Date().addingTimeInterval(seconds)
        repeat {
            var status: Int32 = 0
            if isReaped || waitpid(process, &status, WNOHANG) == process {
                isReaped = true
                return true
            }
            var waiting = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            // Its last words are read, so that it is not stuck with them.
            if !hasEnded, poll(&waiting, 1, 20) > 0 { _ = read() } else { usleep(10_000) }
        } while Date() < end
        return false
    }
}
