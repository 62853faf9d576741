internal import FedchatTesting
internal import HTTPMessages
internal import HTTPTypes
internal import MatrixModel
internal import Synchronization

/// Who takes requests; `nil` when the connection broke.
protocol RequestTaking: Sendable {
    func take(_ request: IncomingRequest) async -> OutgoingResponse?
}

/// The network between servers, in memory: it delays, so that messages overtake each other, repeats, loses and parts.
final class SimulatedNetwork: Sendable {
    /// How bad it is; counts of a thousand.
    struct Weather: Sendable {
        /// Milliseconds one way.
        var latency = 5...120
        /// How often a message takes much longer.
        var slow = 0
        var slowLatency = 1_000...30_000
        var lostRequests = 0
        var lostAnswers = 0
        var repeats = 0

        static let fair = Weather()
        static let stormy = Weather(slow: 40, lostRequests: 40, lostAnswers: 40, repeats: 60)
    }

    private struct State {
        var takers: [String: any RequestTaking] = [:]
        var weather = Weather.fair
        /// The side of each host while the network is parted.
        var sides: [String: Int] = [:]
        var number = 0
    }

    private let state = Mutex(State())
    private let clock: ManualClock
    private let trace: Trace
    private let chance: Chance
    private let records: Records
    /// What nobody waits for: repeated requests.
    private let aside: AsyncStream<@Sendable () async -> Void>
    private let doAside: AsyncStream<@Sendable () async -> Void>.Continuation

    init(clock: ManualClock, trace: Trace, chance: Chance, records: Records) {
        self.clock = clock
        self.trace = trace
        self.chance = chance
        self.records = records
        (aside, doAside) = AsyncStream.makeStream()
    }

    func connect(_ host: String, _ taker: any RequestTaking) { state.withLock { $0.takers[host] = taker } }

    func set(_ weather: Weather) { state.withLock { $0.weather = weather } }

    /// Parts the hosts into sides that do not reach each other. Hosts not named reach all.
    func part(_ sides: [String: Int]) {
        state.withLock { $0.sides = sides }
        trace.note("parted \(sides.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))")
    }

    /// All reach all again, and nothing is lost.
    func heal() {
        state.withLock {
            $0.sides = [:]
            $0.weather = .fair
        }
        trace.note("healed")
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            for await work in aside { group.addTask { await work() } }
        }
    }

    /// Ends `run`, and lets go of the hosts, which hold this network.
    func stop() {
        doAside.finish()
        state.withLock { $0.takers = [:] }
    }

    private func isParted(_ a: String, _ b: String) -> Bool {
        state.withLock { state in
            guard let one = state.sides[a], let other = state.sides[b] else { return false }
            return one != other
        }
    }

    private func latency(_ weather: Weather) -> Duration {
        chance.milliseconds(chance.happens(weather.slow) ? weather.slowLatency : weather.latency)
    }

    /// Brings a request to its host and the answer back.
    func send(_ request: ClientRequest, from host: String) async throws(HTTPClientError) -> ClientResponse {
        let (taker, weather, number) = state.withLock { state in
            state.number += 1
            return (state.takers[request.host], state.weather, state.number)
        }
        let path = request.pathAndQuery.split(separator: "?").first ?? ""
        trace.note("\(number) \(host) > \(request.host) \(request.method.rawValue) \(path) \(request.body.count)")
        guard let taker else { throw .couldNotConnect("no such host") }
        let outcome = await withTaskGroup(of: Outcome.self) { group in
            group.addTask { await self.exchange(request, host, taker, weather) }
            group.addTask {
                do { try await self.clock.sleep(until: self.clock.now.advanced(by: request.timeout)) } catch {
                    return .failed(.cancelled)
                }
                return .failed(.timedOut)
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? .failed(.cancelled)
        }
        switch outcome {
        case .answered(let response):
            trace.note("\(number) answered \(response.status) \(response.body.count)")
            guard response.body.count <= request.maximumResponseBytes else { throw .responseTooLarge }
            return response
        case .failed(let error):
            trace.note("\(number) failed")
            throw error
        }
    }

    private enum Outcome: Sendable {
        case answered(ClientResponse)
        case failed(HTTPClientError)
    }

    private func exchange(
        _ request: ClientRequest, _ host: String, _ taker: any RequestTaking, _ weather: Weather
    ) async -> Outcome {
        let isRepeatable = request.method == .put || request.method == .get
        let isRepeated = isRepeatable && chance.happens(weather.repeats)
        let fate = (
            there: latency(weather), back: latency(weather), losesRequest: chance.happens(weather.lostRequests),
            losesAnswer: chance.happens(weather.lostAnswers), isRefused: chance.happens(500)
        )
        do {
            try await sleep(fate.there)
            if isParted(host, request.host) {
                records.count { $0.parted += 1 }
                if fate.isRefused { return .failed(.couldNotConnect("parted")) }
                try await sleep(request.timeout)
            }
            if fate.losesRequest {
                records.count { $0.lost += 1 }
                try await sleep(request.timeout)
            }
            let head = HTTPRequest(
                method: request.method, scheme: "https", authority: request.host, path: request.pathAndQuery,
                headerFields: request.fields)
            @Sendable func incoming() -> IncomingRequest {
                IncomingRequest(
                    head: head, body: HTTPBody(request.body), remoteAddress: "192.0.2.9", isSecure: true)
            }
            if isRepeated {
                records.count { $0.repeated += 1 }
                let later = latency(weather)
                doAside.yield {
                    try? await self.sleep(later)
                    _ = await taker.take(incoming())
                }
            }
            guard let response = try await Self.answer(of: taker, to: incoming()) else {
                return .failed(.couldNotConnect("nobody listens"))
            }
            try await sleep(fate.back)
            if fate.losesAnswer || isParted(host, request.host) {
                records.count { $0.lost += 1 }
                return .failed(.other("the connection broke"))
            }
            return .answered(response)
        } catch {
            return .failed(.cancelled)
        }
    }

    /// The bytes of an answer. What it was made of stays behind: that it is on its way must not keep a server in memory that
    /// crashes meanwhile.
    private static func answer(
        of taker: any RequestTaking, to request: IncomingRequest
    ) async throws -> ClientResponse? {
        guard let response = await taker.take(request) else { return nil }
        let body = try await response.body.collect(upTo: 64 << 20)
        return ClientResponse(status: response.status.code, fields: response.fields, body: body)
    }

    private func sleep(_ duration: Duration) async throws {
        try await clock.sleep(until: clock.now.advanced(by: duration))
    }
}
