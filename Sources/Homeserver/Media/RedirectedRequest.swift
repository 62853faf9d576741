internal import HTTPMessages
internal import HTTPTypes

/// A GET that follows redirects, each checked like the first address: where a stranger may say what is asked.
struct RedirectedRequest: Sendable {
    private let request: ClientRequest
    private let clock: any ServerClock
    private let maximum: Int
    private let onlyTLS: Bool
    /// Ports that may be asked; `nil`: all.
    private let ports: Set<Int>?
    private let mayAsk: @Sendable (WebAddress) -> Bool

    init(
        _ request: ClientRequest, maximum: Int, onlyTLS: Bool, ports: Set<Int>? = nil, clock: any ServerClock,
        mayAsk: @escaping @Sendable (WebAddress) -> Bool = { _ in true }
    ) {
        self.mayAsk = mayAsk
        self.request = request
        self.clock = clock
        self.maximum = maximum
        self.onlyTLS = onlyTLS
        self.ports = ports
    }

    /// The response at the end of the redirects. Its body is read as it comes.
    func stream(_ client: any HTTPClient) async throws(HTTPClientError) -> StreamedResponse {
        try await streamWithAddress(client).response
    }

    /// The same, with the address that answered.
    func streamWithAddress(
        _ client: any HTTPClient
    ) async throws(HTTPClientError) -> (response: StreamedResponse, address: WebAddress) {
        var request = self.request
        var address = WebAddress(
            scheme: request.scheme, host: request.host, port: request.port, pathAndQuery: request.pathAndQuery)
        let deadline = clock.monotonic() + request.timeout
        for _ in 0...maximum {
            guard ports?.contains(address.port) ?? true, mayAsk(address) else { throw .refusedAddress }
            request.timeout = deadline - clock.monotonic()
            guard request.timeout > .zero else { throw .timedOut }
            let response = try await client.stream(request)
            guard [301, 302, 303, 307, 308].contains(response.status), let place = response.fields[.location],
                let next = address.resolved(place)
            else { return (response, address) }
            guard next.scheme == "https" || (!onlyTLS && address.scheme == "http") else { throw .other("redirect") }
            address = next
            request.scheme = next.scheme
            request.host = next.requestHost
            request.port = next.port
            request.pathAndQuery = next.pathAndQuery
        }
        throw .other("too many redirects")
    }
}
