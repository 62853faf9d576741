import Foundation
import MatrixModel
import Synchronization

/// One command's connection, seen from the process that owns the keys. A thread of its own reads it; answers are written
/// on a queue of their own, so that a slow reader holds up nobody else.
final class DaemonConnection: Sendable {
    private let descriptor: Int32
    private let writing = DispatchQueue(label: "fedchat.connection")
    private let listening = Mutex<[Task<Void, Never>]>([])

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Reads requests until the other side goes; what it listens to ends then, what it sends does not.
    func serve(_ requests: DaemonRequests) {
        var reader = LineReader(descriptor)
        while let line = reader.next() {
            guard let request = try? JSONValue.parse(line), let id = request["id"]?.integer,
                let method = request["method"]?.string
            else { break }
            let params = request["params"] ?? [:]
            let task = Task {
                let answer: [UInt8]
                do {
                    answer = RPC.result(id, try await requests.answer(method, params, self))
                } catch {
                    answer = RPC.failure(id, Failure(error))
                }
                _ = await self.write(answer)
                requests.afterAnswer(method)
            }
            if method == "listen" || method == "verify" { listening.withLock { $0.append(task) } }
        }
        for task in listening.withLock({ $0 }) { task.cancel() }
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Writes a line; false when the other side has gone.
    func write(_ line: [UInt8]) async -> Bool {
        await withCheckedContinuation { continuation in
            writing.async { continuation.resume(returning: UnixSocket.write(line, to: self.descriptor)) }
        }
    }
}
