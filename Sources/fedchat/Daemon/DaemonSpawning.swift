import Foundation

/// Starts the background process, in a session of its own, with nothing of the command's but its environment.
enum DaemonSpawning {
    private static let ownSession: Int16 = 0x80  // POSIX_SPAWN_SETSID

    static func spawn(_ profile: Profile) throws -> pid_t {
        try profile.makeFolders()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, profile.logFile, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            if let descriptor = Int32(name), descriptor > 2 { posix_spawn_file_actions_addclose(&actions, descriptor) }
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, ownSession)

        var words = ["fedchat", "daemon", "--profile", profile.name]
        if let folder = profile.folder { words += ["--config-dir", folder] }
        if let authority = profile.givenAuthorityFile { words += ["--ca-file", authority] }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process = pid_t()
        let result = posix_spawn(&process, "/proc/self/exe", &actions, &attributes, &arguments, environ)
        guard result == 0 else { throw Failure("cannot start the background process", Failure.Status.unexpected) }
        return process
    }
}
