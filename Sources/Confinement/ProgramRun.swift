private import CConfinement
private import Glibc

/// Runs a program to its end within confines and within a time, on three open files. Blocks its thread.
public struct ProgramRun: Sendable {
    public enum End: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)
        case timedOut
    }

    public let end: End
    /// The start of what it wrote to its error stream.
    public let errorText: String

    /// What is kept of an error stream, bytes.
    static let maximumErrorText = 2 << 10

    /// - Parameters:
    ///   - path: the program's path.
    ///   - arguments: after the program's name.
    ///   - environment: `NAME=value`; nothing is inherited.
    ///   - input: the descriptor that it reads, from where that stands.
    ///   - output: the descriptor that it writes.
    ///   - timeout: after which it, and what it started, is killed.
    /// - Throws: ``SpawnFailure`` when it cannot be started at all.
    public init(
        _ path: String, _ arguments: [String], environment: [String], input: Int32, output: Int32,
        within confines: Confines, timeout: Duration
    ) throws(SpawnFailure) {
        let deadline = ContinuousClock.now + timeout
        // The program holds the other end of the pipe, so its end is seen without a signal.
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { throw SpawnFailure("pipe") }
        for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(pipe[0]) }
        let process: pid_t
        do {
            defer { close(pipe[1]) }
            process = try Self.spawn(path, arguments, environment, (input, output, pipe[1]), confines)
        }
        var text: [UInt8] = []
        var isOver = Self.readErrors(pipe[0], &text, until: deadline)
        var status: Int32 = 0
        while isOver {
            let ended = waitpid(process, &status, WNOHANG)
            if ended == process { break }
            if ended < 0, errno != EINTR { throw SpawnFailure("waitpid") }
            isOver = ContinuousClock.now < deadline
            usleep(1_000)
        }
        errorText = String(decoding: text, as: UTF8.self)
        guard isOver else {
            // Its group may not be there yet.
            kill(process, SIGKILL)
            kill(-process, SIGKILL)
            while waitpid(process, &status, 0) < 0, errno == EINTR {}
            end = .timedOut
            return
        }
        let signal = status & 0x7F
        end = signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal: signal)
    }

    /// Reads until the other end is closed; `false` when the time is over before.
    private static func readErrors(
        _ descriptor: Int32, _ text: inout [UInt8], until deadline: ContinuousClock.Instant
    ) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let left = ContinuousClock.now.duration(to: deadline) / .milliseconds(1)
            guard left > 0 else { return false }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wanted, 1, Int32(min(left.rounded(.up), 3_600_000))) > 0 else { continue }
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return true }
            text += chunk.prefix(min(count, max(0, maximumErrorText - text.count)))
        }
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String],
        _ files: (input: Int32, output: Int32, errors: Int32), _ confines: Confines
    ) throws(SpawnFailure) -> pid_t {
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        let places = confines.readable.map { strdup($0) }
        defer { for text in words + variables + places { free(text) } }
        let readable = places.map { UnsafePointer($0) }
        let process = readable.withUnsafeBufferPointer { readable in
            var bounds = fedchat_confines(
                cpu_seconds: UInt64(max(1, confines.seconds)), address_space_bytes: UInt64(max(0, confines.memory)),
                file_bytes: UInt64(max(0, confines.output)), open_files: UInt64(max(3, confines.openFiles)),
                readable: readable.baseAddress, readable_count: Int32(clamping: readable.count))
            return fedchat_spawn_confined(path, &words, &variables, files.input, files.output, files.errors, &bounds)
        }
        guard process > 0 else { throw SpawnFailure("fork") }
        return process
    }

    /// The path of a program in the usual folders; `nil` where it is not installed.
    public static func find(_ name: String) -> String? {
        ["/usr/bin", "/usr/local/bin", "/bin"].map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}
