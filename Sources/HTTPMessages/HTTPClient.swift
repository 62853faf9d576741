/// What sends requests to other servers.
public protocol HTTPClient: Sendable {
    /// Sends one request and reads the whole response. Any status is a response, not an error.
    /// - Throws: ``HTTPClientError``; ``HTTPClientError/cancelled`` when the task is cancelled.
    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse

    /// Sends one request and gives the response as soon as its body begins, which is then read no faster than it is taken:
    /// a large one costs no memory. Redirects are not followed.
    /// - Throws: ``HTTPClientError``, as `send` does; what happens later is an ``HTTPBodyError`` of the body.
    func stream(_ request: ClientRequest) async throws(HTTPClientError) -> StreamedResponse
}

extension HTTPClient {
    /// Reads the whole response first: for clients of which nothing large is asked.
    public func stream(_ request: ClientRequest) async throws(HTTPClientError) -> StreamedResponse {
        let response = try await send(request)
        return StreamedResponse(status: response.status, fields: response.fields, body: HTTPBody(response.body))
    }
}
