/// What answers requests. Total: every request has an answer, so it does not throw.
public protocol HTTPHandler: Sendable {
    /// Answers one request. The task is cancelled when the client goes away or the server stops; a handler that waits
    /// should then end with what it has.
    func handle(_ request: IncomingRequest) async -> OutgoingResponse
}
