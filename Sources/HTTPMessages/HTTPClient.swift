/// What sends requests to other servers.
public protocol HTTPClient: Sendable {
    /// Sends one request and reads the whole response. Any status is a response, not an error.
    /// - Throws: ``HTTPClientError``; ``HTTPClientError/cancelled`` when the task is cancelled.
    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse
}
