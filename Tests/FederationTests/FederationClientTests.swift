import Cryptography
import Federation
import HTTPMessages
import HTTPTypes
import MatrixAPI
import MatrixModel
import Synchronization
import Testing

@Suite("Asking other servers") struct FederationClientTests {
    /// Answers by where the connection goes.
    final class Places: HTTPClient {
        let asked = Mutex<[ClientRequest]>([])
        let answers: [String: Result<ClientResponse, HTTPClientError>]

        init(_ answers: [String: Result<ClientResponse, HTTPClientError>]) { self.answers = answers }

        func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
            asked.withLock { $0.append(request) }
            return try (answers[request.connectTo?.host ?? request.host] ?? .failure(.couldNotConnect("no"))).get()
        }
    }

    private let key: Ed25519.SigningKey
    private let here: ServerName
    private let there: ServerName

    init() throws {
        key = try Ed25519.SigningKey(seed: [UInt8](repeating: 5, count: 32))
        here = try ServerName("here.test")
        there = try ServerName("there.test")
    }

    private func client(_ network: Places, _ targets: [String] = ["one"]) -> FederationClient {
        let records = targets.enumerated().map {
            SRVRecord(priority: $0.offset, weight: 0, port: 1, target: $0.element, timeToLive: 60)
        }
        let discovery = ServerDiscovery(
            httpClient: network, resolver: KnownRecords(records: ["_matrix-fed._tcp.there.test": records]),
            asksWellKnown: false, now: { .zero })
        return FederationClient(
            serverName: here, keyID: "ed25519:1", key: key, httpClient: network, discovery: discovery,
            allowsPrivateAddresses: false, mayReach: { $0.text != "bad.test" })
    }

    private static func answer(_ text: String, status: Int = 200) -> Result<ClientResponse, HTTPClientError> {
        .success(ClientResponse(status: status, body: Array(text.utf8)))
    }

    @Test func `a request is signed over what is sent, for the server's name and not the place`() async throws {
        let network = Places(["one": Self.answer(#"{"ok":true}"#)])
        let call = APICall(.sendTransaction, ["txnId": "a/b"], body: ["pdus": []])
        let answer = try await client(network).json(call, at: there, timeout: .seconds(7))
        #expect(answer["ok"]?.bool == true)
        let request = try #require(network.asked.withLock { $0.first })
        #expect(request.host == "there.test" && request.connectTo?.host == "one" && request.timeout == .seconds(7))
        #expect(request.pathAndQuery == "/_matrix/federation/v1/send/a%2Fb" && !request.allowPrivateAddresses)
        let signature = try RequestSignature(parsing: request.fields[.authorization] ?? "")
        let content = try JSONDocument(request.body).root
        #expect(signature.origin == here && signature.destination == there)
        #expect(signature.verifies("PUT", request.pathAndQuery, content: content, to: there, key: key.publicKey))
    }

    @Test func `keys are asked for without a signature`() async throws {
        let network = Places(["one": Self.answer("{}")])
        _ = try await client(network).json(APICall(.getServerKey), at: there, timeout: .seconds(1))
        #expect(network.asked.withLock { $0.first?.fields[.authorization] } == nil)
    }

    @Test func `the next place is tried where none could be reached, and not where the request may have arrived`()
        async throws
    {
        let reached = Places([
            "one": .failure(.couldNotConnect("no")), "two": .failure(.tls("no")), "three": Self.answer("{}"),
        ])
        _ = try await client(reached, ["one", "two", "three", "four"]).json(
            APICall(.getVersion), at: there, timeout: .seconds(1))
        #expect(reached.asked.withLock { $0.count } == 3)
        let lost = Places(["one": .failure(.timedOut), "two": Self.answer("{}")])
        await #expect(throws: FederationError.self) {
            try await client(lost, ["one", "two"]).json(APICall(.getVersion), at: there, timeout: .seconds(1))
        }
        #expect(lost.asked.withLock { $0.count } == 1)
    }

    @Test(arguments: ["", "[]", "null", "{", "\u{0}", "{}x"])
    func `an answer that is no JSON object is refused`(_ text: String) async throws {
        let client = client(Places(["one": Self.answer(text)]))
        do {
            _ = try await client.json(APICall(.getVersion), at: there, timeout: .seconds(1))
            Issue.record("it was taken")
        } catch {
            guard case .malformed = error else {
                Issue.record("\(error)")
                return
            }
            #expect(!error.isTemporary)
        }
    }

    @Test(arguments: [(500, true), (429, true), (404, false), (403, false), (302, false)])
    func `an error is told, and whether it may pass`(_ status: Int, _ isTemporary: Bool) async throws {
        let client = client(Places(["one": Self.answer(#"{"errcode":"M_X","error":"no"}"#, status: status)]))
        do {
            _ = try await client.json(APICall(.getVersion), at: there, timeout: .seconds(1))
            Issue.record("it was taken")
        } catch {
            guard case .refused(status, let answer?) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(answer.code.text == "M_X" && error.isTemporary == isTemporary)
        }
    }

    @Test(arguments: ["here.test", "bad.test"])
    func `neither this server nor a forbidden one is asked`(_ name: String) async throws {
        let network = Places([:])
        let server = try ServerName(name)
        await #expect(throws: FederationError.self) {
            try await client(network).json(APICall(.getVersion), at: server, timeout: .seconds(1))
        }
        #expect(network.asked.withLock { $0.isEmpty })
    }
}
