internal import FedchatTesting
internal import HTTPMessages
internal import Homeserver
internal import SQLDatabase
internal import Synchronization

/// One life of a server's process, from its start to its crash. Once it has ended, what still runs of it reaches nothing:
/// neither disk, network nor time.
final class Life: RequestTaking {
    private struct Exchange: Sendable {
        var request: IncomingRequest
        var reply: Reply<OutgoingResponse>
        var number: Int
    }

    private struct State {
        var hasEnded = false
        var next = 0
        var open: [Int: Reply<OutgoingResponse>] = [:]
    }

    private let state = Mutex(State())
    private let inbox: AsyncStream<Exchange>
    private let post: AsyncStream<Exchange>.Continuation
    private let end = Reply<Void>()

    init() { (inbox, post) = AsyncStream.makeStream() }

    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// Ends it, as a kill or a power cut does: at once.
    func crash() {
        let open = state.withLock { state in
            state.hasEnded = true
            defer { state.open = [:] }
            return state.open.sorted { $0.key < $1.key }.map(\.value)
        }
        post.finish()
        for reply in open { reply.give(nil) }
        end.give(())
    }

    /// Hands a request to the server. `nil` when it is not there, or ends meanwhile.
    func take(_ request: IncomingRequest) async -> OutgoingResponse? {
        let reply = Reply<OutgoingResponse>()
        let number = state.withLock { state -> Int? in
            guard !state.hasEnded else { return nil }
            state.next += 1
            state.open[state.next] = reply
            return state.next
        }
        guard let number else { return nil }
        post.yield(Exchange(request: request, reply: reply, number: number))
        return await reply.wait()
    }

    /// Runs a homeserver until the life ends.
    /// - Returns: whether it went on until it was ended.
    func run(_ instance: Instance) async -> Bool {
        let handler = instance.handler(for: Resource.standard)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await instance.run() }
            group.addTask { await self.serve(handler) }
            group.addTask { _ = await self.end.wait() }
            await group.next()
            group.cancelAll()
        }
        return hasEnded
    }

    private func serve(_ handler: any HTTPHandler) async {
        await withDiscardingTaskGroup { group in
            for await exchange in inbox {
                group.addTask {
                    let response = await handler.handle(exchange.request)
                    self.state.withLock { _ = $0.open.removeValue(forKey: exchange.number) }
                    exchange.reply.give(self.hasEnded ? nil : response)
                }
            }
        }
    }
}

/// Time as a server sees it during one life.
struct LifeClock: ServerClock {
    let clock: ManualClock
    let life: Life
    /// Milliseconds that its wall clock goes before the true time.
    let skew: Int64

    func now() -> Int64 { clock.milliseconds + skew }
    func monotonic() -> Duration { clock.now.offset }

    func sleep(for duration: Duration) async throws {
        guard !life.hasEnded else { throw CancellationError() }
        try await clock.sleep(until: clock.now.advanced(by: duration))
    }
}

/// The network as a server reaches it during one life.
struct LifeHTTPClient: HTTPClient {
    let network: SimulatedNetwork
    let life: Life
    let host: String

    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        guard !life.hasEnded else { throw .cancelled }
        let response = try await network.send(request, from: host)
        guard !life.hasEnded else { throw .cancelled }
        return response
    }
}
