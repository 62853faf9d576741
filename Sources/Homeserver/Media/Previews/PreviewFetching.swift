internal import HTTPMessages
internal import HTTPTypes
internal import MatrixModel

/// Fetches what users name: never from our own network, not from unusual ports, not for long, not much.
struct PreviewFetching: Sendable {
    let environment: Environment
    private let ports: Set<Int>?
    private let deny: [Glob]

    init(environment: Environment) {
        self.environment = environment
        deny = environment.configuration.urlPreviews.deny.compactMap { Glob($0.lowercased()) }
        // Where the operator lets us into the own network, its services stand at any port.
        ports = environment.configuration.outbound.allowPrivateAddresses ? nil : [80, 443]
    }

    /// What answered, its body not yet read.
    struct Found: Sendable {
        let address: WebAddress
        let contentType: String
        let body: HTTPBody

        /// `text/html`
        var essence: String {
            contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        }

        /// The beginning of the body. Whatever goes wrong after the first byte is taken for its end.
        func beginning(_ maximum: Int) async -> [UInt8] {
            var bytes: [UInt8] = []
            var chunks = body.chunks.makeAsyncIterator()
            while bytes.count < maximum, let chunk = try? await chunks.next() {
                bytes += chunk.prefix(maximum - bytes.count)
            }
            return bytes
        }
    }

    /// Whether an address may be asked at all.
    func mayAsk(_ address: WebAddress) -> Bool {
        !deny.contains { $0.matches(address.requestHost) } && (ports?.contains(address.port) ?? true)
    }

    /// Asks an address; `nil` when there is nothing to be had.
    func fetch(_ address: WebAddress, accept: String, deadline: Duration) async -> Found? {
        let left = deadline - environment.clock.monotonic()
        guard left > .zero, mayAsk(address) else { return nil }
        let request = ClientRequest(
            scheme: address.scheme, host: address.requestHost, port: address.port, pathAndQuery: address.pathAndQuery,
            fields: [.accept: accept, .userAgent: "fedchatd (link preview bot)"], timeout: left,
            // Pages are read as far as we want, so what they announce does not matter.
            maximumResponseBytes: 1 << 40,
            allowPrivateAddresses: environment.configuration.outbound.allowPrivateAddresses,
            verifyTLS: environment.configuration.outbound.verifyTLS)
        let following = RedirectedRequest(
            request, maximum: MediaLimits.previewRedirects, onlyTLS: false, ports: ports, clock: environment.clock
        ) { [self] in mayAsk($0) }
        guard let (response, answered) = try? await following.streamWithAddress(environment.httpClient),
            response.status == 200
        else { return nil }
        return Found(
            address: answered, contentType: response.fields[.contentType] ?? MediaAnswer.unknownType,
            body: response.body)
    }
}
