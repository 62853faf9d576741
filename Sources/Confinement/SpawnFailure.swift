private import Glibc

/// A program that could not be started. For the log.
public struct SpawnFailure: Error, CustomStringConvertible {
    public let operation: String
    public let code: Int32

    /// With what `errno` says now.
    init(_ operation: String) {
        self.operation = operation
        code = errno
    }

    public var description: String { "\(operation): \(String(cString: strerror(code)))" }
}
