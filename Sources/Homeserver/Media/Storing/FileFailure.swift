private import Glibc

/// A system call on a file or a process that failed. For the log.
struct FileFailure: Error, CustomStringConvertible {
    let operation: String
    let code: Int32

    /// With what `errno` says now.
    init(_ operation: String) { self.init(operation, code: errno) }

    init(_ operation: String, code: Int32) {
        self.operation = operation
        self.code = code
    }

    var isMissing: Bool { code == ENOENT }
    var isFull: Bool { code == ENOSPC || code == EDQUOT }

    var description: String { "\(operation): \(String(cString: strerror(code)))" }
}
