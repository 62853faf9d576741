import Foundation

/// A lock that ends with the process.
final class FileLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Nil if another process holds it.
    static func take(_ path: String) throws -> FileLock? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("cannot open \(path)", Failure.Status.unexpected) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        return FileLock(descriptor: descriptor)
    }

    /// Tries for so many seconds.
    static func take(_ path: String, seconds: Double) throws -> FileLock? {
        let end = Date().addingTimeInterval(seconds)
        while true {
            if let lock = try take(path) { return lock }
            guard Date() < end else { return nil }
            usleep(20_000)
        }
    }
}
