private import Glibc

/// Runs a program to its end, within a time, with nothing of ours open. Blocks its thread.
struct ProgramRun: Sendable {
    enum End: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)
        case timedOut
    }

    let end: End
    /// The start of what it wrote to its error stream.
    let errorText: String

    /// - Parameters:
    ///   - path: the program's path.
    ///   - arguments: after the program's name.
    ///   - environment: `NAME=value`; nothing is inherited.
    ///   - timeout: after which it, and what it started, is killed.
    init(
        _ path: String, _ arguments: [String], environment: [String], timeout: Duration
    ) throws(FileFailure) {
        let deadline = ContinuousClock.now + timeout
        // The program holds the other end of the pipe, so its end is seen without a signal.
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { throw FileFailure("pipe") }
        for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(pipe[0]) }
        let process: pid_t
        do {
            defer { close(pipe[1]) }
            process = try Self.spawn(path, arguments, environment, errors: pipe[1])
        }
        var text: [UInt8] = []
        var isOver = Self.readErrors(pipe[0], &text, until: deadline)
        var status: Int32 = 0
        while isOver {
            let ended = waitpid(process, &status, WNOHANG)
            if ended == process { break }
            if ended < 0, errno != EINTR { throw FileFailure("waitpid") }
            isOver = ContinuousClock.now < deadline
            usleep(1_000)
        }
        errorText = String(decoding: text, as: UTF8.self)
        guard isOver else {
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
            text += chunk.prefix(min(count, max(0, MediaLimits.errorText - text.count)))
        }
    }

    /// `posix_spawn_file_actions_addclosefrom_np`, which the headers hide: closes all that we forgot to mark.
    private static let closeFrom: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32)? =
        dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
            unsafeBitCast(
                $0, to: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32).self)
        }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String], errors: Int32
    ) throws(FileFailure) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        _ = closeFrom?(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A process group of its own, so that all of it can be killed; signals as they are by default.
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var words = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer { for text in words + variables { free(text) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, path, &actions, &attributes, &words, &variables)
        guard code == 0 else { throw FileFailure("start \(path)", code: code) }
        return process
    }

    /// The path of a program that is in one of the usual folders; `nil` when it is in none.
    static func find(_ name: String) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        for folder in path.split(separator: ":") where folder.hasPrefix("/") {
            let candidate = "\(folder)/\(name)"
            if access(candidate, X_OK) == 0 { return candidate }
        }
        return nil
    }
}
