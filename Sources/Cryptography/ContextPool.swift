internal import Synchronization

/// An OpenSSL object that only one borrower uses at a time, or that never changes.
struct OpenSSLObject: @unchecked Sendable {
    let pointer: OpaquePointer
}

/// Reusable OpenSSL contexts: making one costs more than hashing an event.
final class ContextPool: Sendable {
    private let idle = Mutex<[OpenSSLObject]>([])
    private let make: @Sendable () -> OpaquePointer?
    private let free: @Sendable (OpaquePointer) -> Void

    init(make: @escaping @Sendable () -> OpaquePointer?, free: @escaping @Sendable (OpaquePointer) -> Void) {
        self.make = make
        self.free = free
    }

    /// Lends a context for the length of `body`, which must leave nothing secret in it that the next `init` keeps.
    func withContext<R, E: Error>(_ body: (OpaquePointer) throws(E) -> R) throws(E) -> R {
        let context = idle.withLock { $0.popLast() } ?? made()
        defer {
            let kept = idle.withLock { idle in
                guard idle.count < Limits.idleContexts else { return false }
                idle.append(context)
                return true
            }
            if !kept { free(context.pointer) }
        }
        return try body(context.pointer)
    }

    private func made() -> OpenSSLObject {
        guard let pointer = make() else { fatalError("OpenSSL is out of memory") }
        return OpenSSLObject(pointer: pointer)
    }
}
