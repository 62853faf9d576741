import HTTPMessages
import HTTPTypes
import MatrixAPI
import MatrixModel
import Testing

@Suite("Routes and calls") struct RouteTests {
    @Test func `every endpoint is declared once`() {
        var seen: Set<Route> = []
        for route in Route.all { #expect(seen.insert(route).inserted, "\(route.method) \(route.template)") }
        #expect(Route.clientServer.count == 164)
        #expect(Route.serverServer.count == 36)
    }

    @Test func `a server-server endpoint is signed, but for those that anybody may ask`() {
        let open = Route.serverServer.filter { $0.access != .serverSignature }.map(\.operationID)
        #expect(
            Set(open) == [
                "getServerKey", "perspectivesKeyQuery", "bulkPerspectivesKeyQuery", "exchangeOpenIdToken", "getVersion",
                "getWellKnown", "onBindThirdPartyIdentifier",
            ])
    }

    @Test func `a call's parameters cannot leave their segment`() {
        let call = APICall(
            .sendMessage, ["roomId": "!a/b:c", "eventType": "m.room.message", "txnId": "?x=1&y#z"],
            query: [("a b", "ü&=")])
        #expect(
            call.pathAndQuery
                == "/_matrix/client/v3/rooms/%21a%2Fb%3Ac/send/m.room.message/%3Fx%3D1%26y%23z?a%20b=%C3%BC%26%3D")
    }

    @Test func `an error is written as the spec says, and read back`() async throws {
        let error = MatrixError.limitExceeded(retryAfterMilliseconds: 1_500)
        let response = error.response
        #expect(response.status == 429)
        #expect(response.headers[.retryAfter] == "2")
        let document = try JSONDocument(try await response.body.collect(upTo: 1_000))
        let read = try #require(MatrixError(status: response.status, body: document.root))
        #expect(read.code == .limitExceeded)
        #expect(read.retryAfterMilliseconds == 1_500)
    }

    @Test func `a body that is no Matrix error is none`() throws {
        #expect(MatrixError(status: 500, body: try JSONDocument(Array("{\"a\":1}".utf8)).root) == nil)
    }
}

@Suite("Reading requests") struct APIRequestTests {
    private func request(_ body: String = "{}", query: String = "", parameters: [String: String] = [:]) throws
        -> APIRequest
    {
        let bytes = Array(body.utf8)
        return APIRequest(
            route: .sync, parameters: parameters, queryItems: QueryItems(parsing: query),
            head: HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/"), body: try JSONDocument(bytes).root,
            bodyBytes: bytes, stream: .empty, remoteAddress: "192.0.2.1", requestID: "1")
    }

    @Test func `a field of another type is bad JSON, a missing one is missing`() throws {
        let request = try request(#"{"a":1,"b":null}"#)
        #expect(throws: MatrixError(.badJSON, "a is not a string")) { try request.string("a") }
        #expect(throws: MatrixError(.missingParameter, "Missing b")) { try request.string("b") }
        #expect(try request.optionalString("c") == nil)
    }

    @Test func `integers of the query are held within their range`() throws {
        let request = try request(query: "limit=100000&bad=x")
        #expect(try request.queryInteger("limit", default: 10, in: 1...100) == 100)
        #expect(try request.queryInteger("none", default: 10, in: 1...100) == 10)
        #expect(throws: MatrixError(.invalidParameter, "bad is not an integer")) {
            try request.queryInteger("bad", default: 10, in: 1...100)
        }
    }

    @Test func `a parameter that is no identifier is refused`() throws {
        let request = try request(parameters: ["roomId": "nonsense"])
        #expect(throws: MatrixError(.invalidParameter, "roomId is not valid")) { try request.roomID() }
    }
}
