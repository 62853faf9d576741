import HTTPMessages
import HTTPTypes
import Homeserver
import Synchronization

/// A network in memory: a request goes to the handler of the host it names. Tests cut it and lose messages on it.
final class LoopNetwork: HTTPClient {
    /// What becomes of a request.
    enum Fate: Sendable {
        case delivered
        /// The host cannot be reached.
        case unreachable
        /// Nobody gets it, but who sent it is told that all is well.
        case swallowed
    }

    private struct State {
        var handlers: [String: any HTTPHandler] = [:]
        var fate: @Sendable (ClientRequest) -> Fate = { _ in .delivered }
        var paths: [String] = []
    }

    private let state = Mutex(State())

    func connect(_ host: String, _ handler: any HTTPHandler) { state.withLock { $0.handlers[host] = handler } }

    /// Decides for each request from now on.
    func set(_ fate: @escaping @Sendable (ClientRequest) -> Fate = { _ in .delivered }) {
        state.withLock { $0.fate = fate }
    }

    /// The requests made so far: host and path.
    var paths: [String] { state.withLock { $0.paths } }

    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        let (handler, fate) = state.withLock { state in
            state.paths.append(request.host + request.pathAndQuery)
            return (state.handlers[request.host], state.fate)
        }
        guard let handler else { throw .couldNotConnect("no such host") }
        switch fate(request) {
        case .unreachable: throw .couldNotConnect("cut")
        case .swallowed: return ClientResponse(status: 200, body: Array(#"{"pdus":{}}"#.utf8))
        case .delivered: break
        }
        return try await handler.take(request)
    }
}

/// A clock that runs fifty times as fast as the world's, so that pauses and polls take no time worth speaking of.
struct QuickClock: ServerClock {
    static let factor = 50
    /// The same for all, so that events of several servers are in order.
    private static let start = ContinuousClock.now

    func now() -> Int64 { 1_700_000_000_000 + Int64(monotonic() / .milliseconds(1)) }
    func monotonic() -> Duration { Self.start.duration(to: .now) * Self.factor }
    func sleep(for duration: Duration) async throws { try await ContinuousClock().sleep(for: duration / Self.factor) }
}
