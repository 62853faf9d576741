private import CPostgres
private import Glibc
internal import SQLDatabase

/// The connection that listens for notifications, made anew when it is lost. Has a thread of its own.
final class PostgresListener: Sendable {
    /// The channel of `LISTEN` and `NOTIFY`.
    static let channel = "fedchat"
    private let configuration: PostgresConfiguration
    private let hub: NotificationHub
    /// A pipe: a byte in it ends the thread.
    private let stopReader: Int32
    private let stopWriter: Int32

    init(_ configuration: PostgresConfiguration, _ hub: NotificationHub) throws(DatabaseError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw DatabaseError(.unavailable, "no file descriptor is left") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (stopReader, stopWriter) = (ends[0], ends[1])
        self.configuration = configuration
        self.hub = hub
    }

    deinit {
        close(stopReader)
        close(stopWriter)
    }

    /// Lets `run` return soon.
    func stop() {
        var byte: UInt8 = 0
        _ = write(stopWriter, &byte, 1)
    }

    /// Listens until `stop`.
    /// - Parameter onStart: called once: when it listens, or with the error if it cannot. Then it has ended.
    func run(onStart: (Result<Void, DatabaseError>) -> Void) {
        var isFirst = true
        var pause = PostgresLimits.backoff.first
        while true {
            do throws(DatabaseError) {
                let handle = try PostgresHandle.connect(configuration)
                defer { PQfinish(handle) }
                try PostgresHandle.execute("LISTEN \(Self.channel)", on: handle)
                if isFirst { onStart(.success(())) } else { hub.send([""]) }
                isFirst = false
                pause = PostgresLimits.backoff.first
                if deliver(from: handle) { return }
            } catch {
                if isFirst { return onStart(.failure(error)) }
            }
            if waitForStop(milliseconds: Int32(pause)) { return }
            pause = min(pause * 2, PostgresLimits.backoff.last)
        }
    }

    /// Hands on what arrives.
    /// - Returns: true to stop, false when the connection is lost.
    private func deliver(from handle: OpaquePointer) -> Bool {
        while true {
            var payloads: [String] = []
            while let notification = PQnotifies(handle) {
                if let payload = notification.pointee.extra { payloads.append(String(cString: payload)) }
                PQfreemem(notification)
            }
            hub.send(payloads)
            var descriptors = [
                pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0),
                pollfd(fd: stopReader, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&descriptors, 2, -1) >= 0 || errno == EINTR else { return false }
            if descriptors[1].revents != 0 { return true }
            if descriptors[0].revents != 0, PQconsumeInput(handle) == 0 { return false }
        }
    }

    private func waitForStop(milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: stopReader, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, milliseconds) > 0
    }
}
