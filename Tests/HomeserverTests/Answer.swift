import HTTPMessages
import HTTPTypes
import MatrixModel

/// What a server answered: its status, and JSON.
struct Answer {
    let status: Int
    let body: JSONValue
    subscript(_ key: String) -> JSONValue? { body[key] }
    var errcode: String? { body["errcode"]?.string }
}

extension HTTPHandler {
    /// A client's request, with no socket in between.
    func ask(
        _ method: HTTPRequest.Method, _ path: String, token: String?, _ body: JSONValue? = nil,
        authority: String = "test", from address: String = "192.0.2.1"
    ) async throws -> Answer {
        var head = HTTPRequest(method: method, scheme: "https", authority: authority, path: path)
        if let token { head.headerFields[.authorization] = "Bearer \(token)" }
        let response = await handle(
            IncomingRequest(
                head: head, body: HTTPBody(body?.serialized() ?? []), remoteAddress: address, isSecure: true))
        let bytes = try await response.body.collect(upTo: 8 << 20)
        return Answer(status: response.status.code, body: bytes.isEmpty ? .null : try JSONValue.parse(bytes))
    }

    /// Another server's request, with no network in between.
    func take(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        let head = HTTPRequest(
            method: request.method, scheme: "https", authority: request.host, path: request.pathAndQuery,
            headerFields: request.fields)
        let response = await handle(
            IncomingRequest(head: head, body: HTTPBody(request.body), remoteAddress: "192.0.2.9", isSecure: true))
        guard let body = try? await response.body.collect(upTo: request.maximumResponseBytes) else {
            throw .responseTooLarge
        }
        return ClientResponse(status: response.status.code, fields: response.fields, body: body)
    }
}
