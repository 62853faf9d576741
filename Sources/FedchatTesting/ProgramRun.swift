private import Foundation
private import Glibc

/// Runs a program to its end. Foundation's `Process` waits by a run loop, which blocks for good where many wait at once.
public enum ProgramRun {
    /// What became of it.
    public struct Outcome: Sendable {
        /// The exit status; 128 and more for one that a signal ended.
        public let status: Int32
        /// What it wrote to its standard output.
        public let output: String
    }

    /// The program could not be started.
    public struct NotStarted: Error, Sendable {
        public let program: String
    }

    /// Runs `arguments[0]`, found on the path, and waits for it. Blocks the thread.
    /// - Parameter folder: where it runs.
    public static func run(_ arguments: [String], in folder: String? = nil) throws(NotStarted) -> Outcome {
        let program = ["/usr/bin/env"] + (folder.map { ["-C", $0] } ?? []) + arguments
        let file = NSTemporaryDirectory() + "/program-" + UUID().uuidString
        defer { unlink(file) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, file, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var words: [UnsafeMutablePointer<CChar>?] = program.map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var process = pid_t()
        guard posix_spawn(&process, "/usr/bin/env", &actions, nil, words, environ) == 0 else {
            throw NotStarted(program: arguments.first ?? "")
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) == -1, errno == EINTR {}
        let output = FileManager.default.contents(atPath: file).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let exited = status & 0x7F == 0
        return Outcome(status: exited ? (status >> 8) & 0xFF : 128 + (status & 0x7F), output: output)
    }
}
