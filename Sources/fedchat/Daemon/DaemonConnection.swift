import FedchatKit
import Foundation
import MatrixModel
import Synchronization

/// One command's connection, seen from the process that owns the keys. A thread of its own reads it; answers are written
/// on a queue of their own, so that a slow reader holds up nobody else.
final class DaemonConnection: Sendable {
    private let descriptor: Int32
    private let writing = DispatchQueue(label: "fedchat.connection")
    private let listening = Mutex<[Task<Void, Never>]>([])
    /// What the command says to the call that it has asked for, in order; it ends with the connection.
    let callCommands: AsyncStream<CallCommand>
    private let callInput: AsyncStream<CallCommand>.Continuation

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        (callCommands, callInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(RPC.waitingCommands))
    }

    deinit { close(descriptor) }

    /// Reads requests until the other side goes; what it listens to ends then, what it sends does not.
    func serve(_ requests: DaemonRequests) {
        var reader = LineReader(descriptor)
        while let line = reader.next() {
            guard let request = try? JSONValue.parse(line), let method = request["method"]?.string else { break }
            let params = request["params"] ?? [:]
            if method == "command" {
                guard let command = CallCommand(params) else { break }
                // What comes after the call is over is late, and does no harm; too much at once is no honest command's.
                if case .dropped = callInput.yield(command) { break }
                continue
            }
            guard let id = request["id"]?.integer else { break }
            let task = Task {
                let answer: [UInt8]
                do {
                    answer = RPC.result(id, try await requests.answer(method, params, self))
                } catch {
                    answer = RPC.failure(id, Failure(error))
                }
                await requests.tellNotices(after: method, self)
                _ = await self.write(answer)
                requests.afterAnswer(method)
            }
            if method == "listen" || method == "verify" { listening.withLock { $0.append(task) } }
        }
        // A call hangs up; it is not cancelled, for the other side is to be told.
        callInput.finish()
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
