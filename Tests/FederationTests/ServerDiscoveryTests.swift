import Federation
import HTTPMessages
import HTTPTypes
import MatrixModel
import Synchronization
import Testing

/// Answers `.well-known` requests as told, and counts them.
final class WellKnownNetwork: HTTPClient {
    struct Answer: Sendable {
        var status = 200
        var body: String
        var fields: HTTPFields = [:]
    }

    private let answers: Mutex<[String: Answer]>
    private let asked = Mutex<[ClientRequest]>([])

    init(_ answers: [String: Answer] = [:]) { self.answers = Mutex(answers) }

    var requests: [ClientRequest] { asked.withLock { $0 } }
    func set(_ host: String, _ answer: Answer?) { answers.withLock { $0[host] = answer } }

    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        asked.withLock { $0.append(request) }
        guard let answer = answers.withLock({ $0[request.host] }) else { throw .couldNotConnect("nobody") }
        return ClientResponse(status: answer.status, fields: answer.fields, body: Array(answer.body.utf8))
    }
}

struct KnownRecords: SRVResolving {
    var records: [String: [SRVRecord]] = [:]
    func records(of name: String) async -> [SRVRecord] { records[name] ?? [] }
}

final class Stopwatch: Sendable {
    private let time = Mutex(Duration.zero)
    var now: Duration { time.withLock { $0 } }
    func pass(_ duration: Duration) { time.withLock { $0 += duration } }
}

@Suite("Finding servers") struct ServerDiscoveryTests {
    private let watch = Stopwatch()

    private func discovery(
        _ network: WellKnownNetwork = WellKnownNetwork(), _ records: [String: [SRVRecord]] = [:],
        asksWellKnown: Bool = true
    ) -> ServerDiscovery {
        let watch = watch
        return ServerDiscovery(
            httpClient: network, resolver: KnownRecords(records: records), asksWellKnown: asksWellKnown,
            now: { watch.now })
    }

    private func record(_ target: String, _ port: Int, priority: Int = 10, weight: Int = 0) -> SRVRecord {
        SRVRecord(priority: priority, weight: weight, port: port, target: target, timeToLive: 60)
    }

    private func named(_ host: String, _ target: String, _ port: Int) -> ServerAddress {
        ServerAddress(host: host, port: 443, connectTo: ConnectionTarget(host: target, port: port))
    }

    // 1
    @Test func `an IP address is the place itself`() async throws {
        let network = WellKnownNetwork()
        let discovery = discovery(network)
        #expect(
            try await discovery.addresses(of: ServerName("192.0.2.7:99")) == [
                ServerAddress(host: "192.0.2.7", port: 99)
            ])
        #expect(try await discovery.addresses(of: ServerName("192.0.2.7")) == [named("192.0.2.7", "192.0.2.7", 8448)])
        #expect(
            try await discovery.addresses(of: ServerName("[2001:db8::7]")) == [
                named("2001:db8::7", "2001:db8::7", 8448)
            ])
        #expect(network.requests.isEmpty)
    }

    // 2
    @Test func `a port in the name says all`() async throws {
        let network = WellKnownNetwork(["a.test": .init(body: #"{"m.server":"b.test"}"#)])
        let found = try await discovery(network).addresses(of: ServerName("a.test:8448"))
        #expect(found == [ServerAddress(host: "a.test", port: 8448)])
        #expect(network.requests.isEmpty)
    }

    // 3.1, 3.2
    @Test(arguments: [
        ("192.0.2.7", ServerAddress(host: "192.0.2.7", port: 443, connectTo: .init(host: "192.0.2.7", port: 8448))),
        ("192.0.2.7:99", ServerAddress(host: "192.0.2.7", port: 99)),
        ("b.test:99", ServerAddress(host: "b.test", port: 99)),
    ])
    func `a delegation to an address or a port is followed`(_ delegate: String, _ place: ServerAddress) async throws {
        let network = WellKnownNetwork(["a.test": .init(body: #"{"m.server":"\#(delegate)"}"#)])
        let discovery = discovery(network, ["_matrix-fed._tcp.b.test": [record("no.test", 1)]])
        #expect(try await discovery.addresses(of: ServerName("a.test")) == [place])
        let request = try #require(network.requests.first)
        #expect(request.scheme == "https" && request.port == 443 && request.verifyTLS && request.followRedirects > 0)
        #expect(request.pathAndQuery == "/.well-known/matrix/server" && request.maximumResponseBytes <= 1 << 20)
    }

    // 3.3, 3.4, 3.5
    @Test func `a delegation to a name goes by its records, new before old, else to port 8448`() async throws {
        let network = WellKnownNetwork(["a.test": .init(body: #"{"m.server":"b.test"}"#)])
        let (new, old) = ("_matrix-fed._tcp.b.test", "_matrix._tcp.b.test")
        let name = try ServerName("a.test")
        #expect(
            await discovery(network, [new: [record("n.test", 1)], old: [record("o.test", 2)]]).addresses(of: name)
                == [named("b.test", "n.test", 1)])
        #expect(
            await discovery(network, [old: [record("o.test", 2)]]).addresses(of: name) == [named("b.test", "o.test", 2)]
        )
        #expect(
            await discovery(network, ["_matrix._tcp.a.test": [record("x.test", 3)]]).addresses(of: name)
                == [named("b.test", "b.test", 8448)])
    }

    // 4, 5, 6
    @Test(arguments: [
        WellKnownNetwork.Answer(status: 404, body: #"{"m.server":"b.test"}"#), .init(body: "not json"),
        .init(body: "{}"),
        .init(body: #"{"m.server":7}"#), .init(body: #"{"m.server":"not a name"}"#), .init(body: "[]"),
    ])
    func `without a good delegation the name's own records count`(_ answer: WellKnownNetwork.Answer) async throws {
        let network = WellKnownNetwork(["a.test": answer])
        let name = try ServerName("a.test")
        let records = ["_matrix-fed._tcp.a.test": [record("n.test", 1)]]
        #expect(await discovery(network, records).addresses(of: name) == [named("a.test", "n.test", 1)])
        #expect(
            await discovery(network, ["_matrix._tcp.a.test": [record("o.test", 2)]]).addresses(of: name)
                == [named("a.test", "o.test", 2)])
        #expect(await discovery(network).addresses(of: name) == [named("a.test", "a.test", 8448)])
    }

    @Test func `records are tried by priority, and a dot says that there is no server`() async throws {
        let service = "_matrix-fed._tcp.a.test"
        let records = [
            record("third.test", 3, priority: 20), record("second.test", 2, weight: 1),
            record("first.test", 1, weight: 9),
            record("", 4, priority: 0), record(".", 5, priority: 0),
        ]
        let found = try await discovery(WellKnownNetwork(), [service: records]).addresses(of: ServerName("a.test"))
        #expect(found.map { $0.connectTo?.port } == [1, 2, 3])
        let nothing = try await discovery(WellKnownNetwork(), [service: [record("", 0)]]).addresses(
            of: ServerName("a.test"))
        #expect(nothing == [named("a.test", "a.test", 8448)])
    }

    @Test func `the operator may have no delegation asked for`() async throws {
        let network = WellKnownNetwork(["a.test": .init(body: #"{"m.server":"b.test:1"}"#)])
        let found = try await discovery(network, asksWellKnown: false).addresses(of: ServerName("a.test"))
        #expect(found == [named("a.test", "a.test", 8448)] && network.requests.isEmpty)
    }

    // MARK: Caching

    @Test(
        arguments: [
            (nil, Duration.seconds(24 * 3600)), ("max-age=600", .seconds(600)),
            ("public, Max-Age=\"600\"", .seconds(600)),
            ("max-age=99999999999999999999", .seconds(24 * 3600)), ("max-age=999999999", .seconds(48 * 3600)),
            ("max-age=-5", .seconds(24 * 3600)), ("no-store", .seconds(60)), ("max-age=0", .seconds(60)),
            ("max-age=;=,,=", .seconds(24 * 3600)),
        ] as [(String?, Duration)])
    func `a delegation is kept as long as its headers say, within bounds`(_ header: String?, _ kept: Duration)
        async throws
    {
        var fields: HTTPFields = [:]
        if let header { fields[.cacheControl] = header }
        let network = WellKnownNetwork(["a.test": .init(body: #"{"m.server":"b.test:1"}"#, fields: fields)])
        let discovery = discovery(network)
        let name = try ServerName("a.test")
        _ = await discovery.addresses(of: name)
        watch.pass(kept - .seconds(1))
        #expect(await discovery.addresses(of: name) == [ServerAddress(host: "b.test", port: 1)])
        #expect(network.requests.count == 1)
        watch.pass(.seconds(2))
        _ = await discovery.addresses(of: name)
        #expect(network.requests.count == 2)
    }

    @Test func `a failure is kept longer each time, an hour at most`() async throws {
        let network = WellKnownNetwork()
        let discovery = discovery(network)
        let name = try ServerName("a.test")
        for (asked, pause) in [60, 120, 240, 480, 960, 1920, 3600, 3600].enumerated() {
            _ = await discovery.addresses(of: name)
            watch.pass(.seconds(pause - 1))
            _ = await discovery.addresses(of: name)
            #expect(network.requests.count == asked + 1)
            watch.pass(.seconds(2))
        }
        network.set("a.test", .init(body: #"{"m.server":"b.test:1"}"#))
        #expect(await discovery.addresses(of: name) == [ServerAddress(host: "b.test", port: 1)])
    }

    @Test func `a delegation that led nowhere is asked for anew`() async throws {
        let network = WellKnownNetwork(["a.test": .init(body: #"{"m.server":"old.test:1"}"#)])
        let discovery = discovery(network)
        let name = try ServerName("a.test")
        _ = await discovery.addresses(of: name)
        network.set("a.test", .init(body: #"{"m.server":"new.test:1"}"#))
        #expect(await discovery.addresses(of: name).map(\.host) == ["old.test"])
        discovery.forget(name)
        #expect(await discovery.addresses(of: name).map(\.host) == ["new.test"])
    }
}
