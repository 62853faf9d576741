public import HTTPMessages
internal import HTTPTypes
public import MatrixAPI
public import MatrixModel

/// Calls to one homeserver.
public struct HomeserverConnection: Sendable {
    let http: any HTTPClient
    /// Where the server is.
    public let homeserver: Homeserver
    let clock: any Clock<Duration>

    /// A connection; nothing is sent yet. `clock` times the pauses between attempts.
    public init(_ homeserver: Homeserver, http: any HTTPClient, clock: any Clock<Duration>) {
        self.homeserver = homeserver
        self.http = http
        self.clock = clock
    }

    /// Sends a call once. Throws `server` for an error answer, `network`, or `malformedAnswer`.
    public func send(
        _ call: APICall, token: String? = nil, timeout: Duration = ClientLimits.callTimeout,
        maximumBytes: Int = ClientLimits.answerBytes
    ) async throws(ClientError) -> JSONView {
        var fields = HTTPFields()
        fields[.accept] = "application/json"
        if let token { fields[.authorization] = "Bearer \(token)" }
        var body = call.body
        if call.route.method != .get {
            fields[.contentType] = "application/json"
            if body.isEmpty { body = [0x7B, 0x7D] }
        }
        let request = ClientRequest(
            method: call.route.method, scheme: homeserver.scheme, host: homeserver.host, port: homeserver.port,
            pathAndQuery: homeserver.path + call.pathAndQuery, fields: fields, body: body, timeout: timeout,
            maximumResponseBytes: maximumBytes, allowPrivateAddresses: true)
        let response: ClientResponse
        do { response = try await http.send(request) } catch { throw .network(error) }
        let document = try? JSONDocument(response.body)
        guard (200..<300).contains(response.status) else {
            // The first answer of user-interactive authentication has no error code.
            if response.status == 401, let root = document?.root, root["errcode"] == nil, let flows = root["flows"] {
                var fields: [String: JSONValue] = ["flows": flows.value]
                fields["session"] = root["session"]?.value
                throw .server(MatrixError(.unauthorized, "more is needed", status: 401, fields: fields))
            }
            throw Self.refusal(response.status, response.body)
        }
        guard let document, document.root.isObject else { throw .malformedAnswer(path: call.route.operationID) }
        return document.root
    }

    /// What an answer of another status than success means. Whoever answers without an error code is no homeserver, but stands
    /// before one.
    static func refusal(_ status: Int, _ body: [UInt8]) -> ClientError {
        if let document = try? JSONDocument(body), let error = MatrixError(status: status, body: document.root) {
            return .server(error)
        }
        return .server(MatrixError(.noMatrix, "status \(status)", status: status))
    }

    /// Sends a call that may be repeated, until it succeeds, is refused, or has failed too often.
    public func sendRepeating(
        _ call: APICall, token: String? = nil, attempts: Int = ClientLimits.attempts
    ) async throws(ClientError) -> JSONView {
        var pause = ClientLimits.firstPause
        var attempt = 1
        while true {
            do {
                return try await send(call, token: token)
            } catch {
                guard error.isTransient, attempt < attempts else { throw error }
                var wait = pause
                if case .server(let refusal) = error, let asked = refusal.retryAfterMilliseconds {
                    wait = min(.milliseconds(max(asked, 1)), ClientLimits.longestRetryAfter)
                }
                do { try await clock.sleep(for: wait) } catch { throw .network(.cancelled) }
                pause = min(pause * 2, ClientLimits.longestPause)
                attempt += 1
            }
        }
    }
}
