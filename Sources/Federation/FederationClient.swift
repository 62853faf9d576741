public import Cryptography
public import HTTPMessages
public import HTTPTypes
public import MatrixAPI
public import MatrixModel

/// Why another server gave no answer that can be used.
public enum FederationError: Error, Sendable {
    /// It could not be reached, or broke off. The text is for the log.
    case unreachable(String)
    /// It answered with an error. Never repeated to a client of ours as our own.
    case refused(status: Int, MatrixError?)
    /// It answered with something that is not what the spec asks for.
    case malformed(String)
    /// Our own settings forbid speaking to it.
    case notAllowed

    /// Whether the same call may work later.
    public var isTemporary: Bool {
        switch self {
        case .unreachable: true
        case .refused(let status, _): status >= 500 || status == 429 || status == 408
        case .malformed, .notAllowed: false
        }
    }
}

/// Speaks to other servers: finds them, signs, sends, reads.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/>
public struct FederationClient: Sendable {
    /// An answer, whole.
    public struct Answer: Sendable {
        public let status: Int
        public let fields: HTTPFields
        public let body: [UInt8]
    }

    private let serverName: ServerName
    private let keyID: String
    private let key: Ed25519.SigningKey
    private let httpClient: any HTTPClient
    private let discovery: ServerDiscovery
    private let allowsPrivateAddresses: Bool
    /// Whether our settings let us speak to a server.
    private let mayReach: @Sendable (ServerName) -> Bool

    public init(
        serverName: ServerName, keyID: String, key: Ed25519.SigningKey, httpClient: any HTTPClient,
        discovery: ServerDiscovery, allowsPrivateAddresses: Bool,
        mayReach: @escaping @Sendable (ServerName) -> Bool = { _ in true }
    ) {
        self.serverName = serverName
        self.keyID = keyID
        self.key = key
        self.httpClient = httpClient
        self.discovery = discovery
        self.allowsPrivateAddresses = allowsPrivateAddresses
        self.mayReach = mayReach
    }

    /// Calls another server and reads the JSON of its answer. Throws ``FederationError`` for anything but a 200 with JSON.
    /// - Parameter kind: an object, but for the first version of the invite endpoint.
    public func json(
        _ call: APICall, at server: ServerName, timeout: Duration,
        maximumBytes: Int = FederationLimits.responseBytes, kind: JSONKind = .object
    ) async throws(FederationError) -> JSONView {
        let answer = try await send(call, to: server, timeout: timeout, maximumBytes: maximumBytes)
        guard let document = try? JSONDocument(answer.body, limits: .federation), document.root.kind == kind else {
            throw .malformed("the answer to \(call.route.operationID) is not a JSON \(kind)")
        }
        return document.root
    }

    /// Calls another server, trying its addresses in order, and gives the answer of a status below 300.
    public func send(
        _ call: APICall, to server: ServerName, timeout: Duration,
        maximumBytes: Int = FederationLimits.responseBytes
    ) async throws(FederationError) -> Answer {
        try await ask(call, at: server, timeout, maximumBytes) { (request) async throws(Failure) in
            do {
                let response = try await httpClient.send(request)
                guard (200..<300).contains(response.status) else {
                    throw Failure.answered(Self.refusal(response.status, response.body))
                }
                return Answer(status: response.status, fields: response.fields, body: response.body)
            } catch let error as HTTPClientError { throw .unanswered(error) } catch let error as Failure {
                throw error
            } catch { throw .answered(.unreachable("\(error)")) }
        }
    }

    /// An answer whose body is read as it comes.
    public struct StreamedAnswer: Sendable {
        public let fields: HTTPFields
        public let body: HTTPBody
    }

    /// As `send`, for what is large: the body is read no faster than it is taken.
    public func stream(
        _ call: APICall, to server: ServerName, timeout: Duration, maximumBytes: Int
    ) async throws(FederationError) -> StreamedAnswer {
        try await ask(call, at: server, timeout, maximumBytes) { (request) async throws(Failure) in
            do {
                let response = try await httpClient.stream(request)
                guard (200..<300).contains(response.status) else {
                    let body = try? await response.body.collect(upTo: FederationLimits.errorBytes)
                    throw Failure.answered(Self.refusal(response.status, body ?? []))
                }
                return StreamedAnswer(fields: response.fields, body: response.body)
            } catch let error as HTTPClientError { throw .unanswered(error) } catch let error as Failure {
                throw error
            } catch { throw .answered(.unreachable("\(error)")) }
        }
    }

    /// Why one address gave nothing.
    private enum Failure: Error {
        case unanswered(HTTPClientError)
        case answered(FederationError)
    }

    private static func refusal(_ status: Int, _ body: [UInt8]) -> FederationError {
        .refused(
            status: status, (try? JSONDocument(body)).flatMap { MatrixError(status: status, body: $0.root) })
    }

    /// Asks one address after the other.
    private func ask<Result>(
        _ call: APICall, at server: ServerName, _ timeout: Duration, _ maximumBytes: Int,
        _ exchange: (ClientRequest) async throws(Failure) -> Result
    ) async throws(FederationError) -> Result {
        guard server != serverName, mayReach(server) else { throw .notAllowed }
        var fields: HTTPFields = [.accept: "application/json", .userAgent: "fedchatd"]
        let method = call.route.method.rawValue
        if call.route.access == .serverSignature {
            fields[.authorization] = try signature(of: call, method, to: server).header
        }
        if !call.body.isEmpty { fields[.contentType] = "application/json" }
        var failure = FederationError.unreachable("no address")
        for address in await discovery.addresses(of: server) {
            let request = ClientRequest(
                method: call.route.method, scheme: "https", host: address.host, port: address.port,
                pathAndQuery: call.pathAndQuery, fields: fields, body: call.body, connectTo: address.connectTo,
                timeout: timeout, maximumResponseBytes: maximumBytes,
                allowPrivateAddresses: allowsPrivateAddresses)
            do throws(Failure) { return try await exchange(request) } catch {
                switch error {
                case .answered(let error): throw error
                case .unanswered(let error):
                    failure = .unreachable("\(error)")
                    // A request that may have arrived is not sent to a second address.
                    switch error {
                    case .couldNotConnect, .tls, .refusedAddress: continue
                    default: throw failure
                    }
                }
            }
        }
        discovery.forget(server)
        throw failure
    }

    private func signature(
        of call: APICall, _ method: String, to server: ServerName
    ) throws(FederationError) -> RequestSignature {
        do {
            let content = call.body.isEmpty ? nil : try JSONDocument(call.body, limits: .federation).root
            return try RequestSignature(
                signing: method, call.pathAndQuery, content: content, from: serverName, to: server, keyID: keyID,
                key: key)
        } catch { throw .malformed("our own request is not JSON: \(error)") }
    }
}
