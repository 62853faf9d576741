import HTTPMessages
import HTTPServer
import HTTPTypes
import Logging
import Synchronization

/// A handler made of a closure.
struct ClosureHandler: HTTPHandler {
    let body: @Sendable (IncomingRequest) async -> OutgoingResponse

    func handle(_ request: IncomingRequest) async -> OutgoingResponse { await body(request) }
}

extension OutgoingResponse {
    static func text(_ text: String, _ status: HTTPResponse.Status = .ok) -> OutgoingResponse {
        OutgoingResponse(status: status, fields: [.contentType: "text/plain"], body: HTTPBody(text))
    }
}

/// Runs a server on a free port while `body` works, then stops it.
@discardableResult
func withServer<R: Sendable>(
    limits: HTTPServerLimits = HTTPServerLimits(), tls: HTTPListener.TLS? = nil, trustsForwarded: Bool = false,
    handler: @escaping @Sendable (IncomingRequest) async -> OutgoingResponse,
    _ body: @escaping @Sendable (_ port: Int, _ server: HTTPServer) async throws -> R
) async throws -> R {
    var limits = limits
    limits.cancellationGrace = min(limits.cancellationGrace, .milliseconds(50))
    let listener = HTTPListener(
        bind: "127.0.0.1", port: 0, tls: tls, trustsForwarded: trustsForwarded,
        handler: ClosureHandler(body: handler))
    let server = try HTTPServer(listeners: [listener], limits: limits, logger: Logger(label: "test"))
    let ports = AsyncStream.makeStream(of: Int.self)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            defer { ports.continuation.finish() }
            try await server.run { ports.continuation.yield($0[0].port) }
        }
        var iterator = ports.stream.makeAsyncIterator()
        guard let port = await iterator.next() else {
            try await group.waitForAll()
            throw RawSocket.Failure(call: "listen", code: 0)
        }
        let result: Result<R, any Error>
        do { result = .success(try await body(port, server)) } catch { result = .failure(error) }
        server.stop()
        try await group.waitForAll()
        return try result.get()
    }
}

/// What several tasks note down.
final class Notes<Note: Sendable>: Sendable {
    private let notes = Mutex<[Note]>([])
    private let stream = AsyncStream.makeStream(of: Note.self)

    func add(_ note: Note) {
        notes.withLock { $0.append(note) }
        stream.continuation.yield(note)
    }

    var all: [Note] { notes.withLock { $0 } }

    /// Waits for the next note.
    func next() async -> Note? {
        var iterator = stream.stream.makeAsyncIterator()
        return await iterator.next()
    }
}
