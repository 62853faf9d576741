internal import Cryptography
public import HTTPMessages
internal import HTTPTypes
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import Metrics

/// Answers the requests of a listener: finds the route, lets in who may, takes the body within its bound, calls the
/// handler and turns every failure into the spec's error object.
public struct APIHandler: HTTPHandler {
    let router: Router
    let resources: Set<Resource>
    let clients: any ClientAuthenticating
    let servers: any ServerAuthenticating
    let limiter: RateLimiter
    let environment: Environment

    public init(
        router: Router, resources: Set<Resource>, clients: any ClientAuthenticating,
        servers: any ServerAuthenticating, limiter: RateLimiter, environment: Environment
    ) {
        self.router = router
        self.resources = resources
        self.clients = clients
        self.servers = servers
        self.limiter = limiter
        self.environment = environment
    }

    public func handle(_ incoming: IncomingRequest) async -> OutgoingResponse {
        let requestID = Hex.encode(environment.random.bytes(6))
        if incoming.method == .options {
            return finished(APIResponse(status: 200, body: .empty), requestID)
        }
        let started = environment.clock.monotonic()
        var operation = "unknown"
        var response: APIResponse
        do {
            response = try await answer(incoming, requestID, &operation)
        } catch let error as MatrixError {
            response = error.response
        } catch is CancellationError {
            response = MatrixError(.unknown, "The server is stopping", status: 503).response
        } catch {
            environment.logger.error(
                "request failed",
                metadata: ["request": "\(requestID)", "operation": "\(operation)", "cause": "\(error)"])
            response = MatrixError.unknown.response
        }
        let elapsed = environment.clock.monotonic() - started
        environment.logger.debug(
            "answered",
            metadata: [
                "request": "\(requestID)", "operation": "\(operation)", "status": "\(response.status)",
                "ms": "\(Int64(elapsed / .milliseconds(1)))",
            ])
        if environment.configuration.metricsEnabled {
            Counter(
                label: "fedchat_requests_total",
                dimensions: [("operation", operation), ("status", String(response.status))]
            ).increment()
        }
        return finished(response, requestID)
    }

    /// Clients that are older than v1.1 say `r0` where others say `v3`; the endpoints are the same.
    private static func today(_ segments: [String]) -> [String] {
        let start = Array(segments.prefix(3))
        guard start == ["_matrix", "client", "r0"] || start == ["_matrix", "media", "r0"] else { return segments }
        return start.dropLast() + ["v3"] + segments.dropFirst(3)
    }

    private func answer(
        _ incoming: IncomingRequest, _ requestID: String, _ operation: inout String
    ) async throws -> APIResponse {
        let target = incoming.target
        guard (incoming.head.path ?? "").utf8.count <= APILimits.pathBytes else {
            throw MatrixError(.tooLarge, "The path is too long", status: 414)
        }
        // U+0000 is in no identifier, and PostgreSQL cannot hold it.
        guard var segments = target.segments, segments.count <= APILimits.pathSegments,
            !segments.contains(where: { $0.utf8.contains(0) })
        else {
            throw MatrixError(.invalidParameter, "The path is not valid")
        }
        if segments.last == "" { segments.removeLast() }
        segments = Self.today(segments)
        guard let resource = Resource.of(segments), resources.contains(resource) else { throw MatrixError.unrecognized }
        let match: Router.Match
        switch router.lookup(method: incoming.method.rawValue, segments: segments) {
        case .found(let found): match = found
        case .wrongMethod: throw MatrixError(.unrecognized, "Method not allowed here", status: 405)
        case .unknown: throw MatrixError.unrecognized
        }
        operation = match.route.operationID

        let query = target.query
        var bytes: [UInt8] = []
        var body = APIHandler.emptyObject.root
        func request() -> APIRequest {
            APIRequest(
                route: match.route, parameters: match.parameters, queryItems: query, head: incoming.head, body: body,
                bodyBytes: bytes, stream: incoming.body, remoteAddress: incoming.remoteAddress, requestID: requestID)
        }
        // The token is checked before the body is read, so that a stranger's body costs nothing.
        var requester: Requester?
        switch match.handler {
        case .client:
            guard let token = accessToken(incoming, query) else {
                throw MatrixError(.missingToken, "Missing access token")
            }
            requester = try await clients.requester(token: token, of: request())
        case .optional:
            if let token = accessToken(incoming, query) {
                requester = try await clients.requester(token: token, of: request())
            }
        case .open, .server: break
        }
        if let requester, requester.isGuest, !match.route.allowsGuests {
            throw MatrixError(.guestAccessForbidden, "Guests may not do this")
        }
        if match.route.isRateLimited, match.route.access != .serverSignature {
            try await limiter.take(.other, who: requester?.user.text ?? incoming.remoteAddress)
        }
        if case .json(let maximum) = match.route.body, incoming.method != .get, incoming.method != .head {
            bytes = try await collect(incoming.body, maximum)
            if bytes.isEmpty, incoming.method == .put { throw MatrixError(.notJSON, "The body is empty") }
            body = try parse(bytes)
        }
        switch match.handler {
        case .open(let handle): return try await handle(request())
        case .optional(let handle): return try await handle(request(), requester)
        case .client(let handle):
            guard let requester else { throw MatrixError(.missingToken, "Missing access token") }
            return try await handle(request(), requester)
        case .server(let handle):
            let origin = try await servers.origin(of: request())
            try await limiter.take(.federation, who: origin.text)
            return try await handle(request(), origin)
        }
    }

    private static let emptyObject: JSONDocument = {
        guard let document = try? JSONDocument([0x7B, 0x7D]) else { preconditionFailure("{} is JSON") }
        return document
    }()

    private func collect(_ body: HTTPBody, _ maximum: Int) async throws(MatrixError) -> [UInt8] {
        do { return try await body.collect(upTo: maximum) } catch {
            switch error {
            case .tooLarge: throw MatrixError(.tooLarge, "The body is larger than \(maximum) bytes")
            case .timedOut: throw MatrixError(.unknown, "The body took too long", status: 408)
            default: throw MatrixError(.unknown, "The body ended early")
            }
        }
    }

    private func parse(_ bytes: [UInt8]) throws(MatrixError) -> JSONView {
        if bytes.isEmpty { return Self.emptyObject.root }
        let document: JSONDocument
        do { document = try JSONDocument(bytes) } catch {
            throw MatrixError(.notJSON, "The body is not JSON: \(error)")
        }
        guard document.root.kind == .object else { throw MatrixError(.badJSON, "The body is not a JSON object") }
        return document.root
    }

    /// The token of `Authorization: Bearer`, or of the query where old clients are let in.
    private func accessToken(_ incoming: IncomingRequest, _ query: QueryItems) -> String? {
        if let header = incoming.head.headerFields[.authorization] {
            let parts = header.split(separator: " ", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == "bearer" { return String(parts[1]) }
            return nil
        }
        return environment.configuration.clients.accessTokenInQuery ? query["access_token"] : nil
    }

    /// Adds what every answer carries. Spec: <https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients>
    private func finished(_ response: APIResponse, _ requestID: String) -> OutgoingResponse {
        var fields = response.headers
        fields[.accessControlAllowOrigin] = "*"
        fields[.accessControlAllowMethods] = "GET, POST, PUT, DELETE, OPTIONS"
        fields[.accessControlAllowHeaders] = "X-Requested-With, Content-Type, Authorization"
        if let name = HTTPField.Name("X-Request-ID") { fields[name] = requestID }
        return OutgoingResponse(
            status: HTTPResponse.Status(code: response.status), fields: fields, body: response.body)
    }
}
