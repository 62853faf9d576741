private import CCurl
public import HTTPMessages
internal import HTTPTypes

/// An HTTP client on libcurl: every transfer of a process on one thread, connections kept and used again, HTTP/2 where the
/// other side has it, names resolved to both families and the faster connection taken.
public final class CurlClient: HTTPClient {
    /// How a client is set up.
    public struct Configuration: Sendable {
        public var limits = CurlClientLimits()
        /// PEM files of authorities that are trusted beside the system's.
        public var customAuthorityFiles: [String] = []
        /// The User-Agent of requests that bring none.
        public var userAgent = "fedchat"
        /// A proxy's URL. The environment's proxies are not used.
        public var proxy: String?

        public init() {}
    }

    private let loop: TransferLoop
    private let configuration: Configuration

    /// Reads the certificates and starts the thread.
    /// - Throws: ``HTTPClientError/tls(_:)`` if an authority's file cannot be used.
    public init(_ configuration: Configuration = Configuration()) throws(HTTPClientError) {
        self.configuration = configuration
        let bundle = try CertificateBundle(adding: configuration.customAuthorityFiles)
        loop = try TransferLoop(configuration, bundle)
    }

    deinit { loop.stop() }

    /// Ends all transfers as cancelled, closes the connections and ends the thread. Later requests are cancelled at once.
    public func shutDown() {
        loop.stop()
    }

    public func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        try await run(try Transfer(request, configuration)).get()
    }

    /// Delivers a mail. Returns the mail server's last code.
    func deliver(_ delivery: MailDelivery) async throws(HTTPClientError) -> Int {
        try await run(try Transfer(delivery, configuration)).get().status
    }

    private func run(_ transfer: Transfer) async -> Result<ClientResponse, HTTPClientError> {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                transfer.start(continuation)
                loop.submit(transfer)
            }
        } onCancel: {
            loop.cancel(transfer)
        }
    }

    public func stream(_ request: ClientRequest) async throws(HTTPClientError) -> StreamedResponse {
        var request = request
        request.followRedirects = 0
        let stream = ResponseStream()
        let transfer = try Transfer(request, configuration, into: stream)
        let head = try await run(transfer).get()
        let reader = Reader(stream: stream, transfer: transfer, loop: loop)
        let length = head.fields[.contentLength].flatMap { Int($0) }
        return StreamedResponse(
            status: head.status, fields: head.fields,
            body: HTTPBody(length: length) { () async throws(HTTPBodyError) in try await reader.next() })
    }

    /// Who reads a body; with it goes the transfer.
    private final class Reader: Sendable {
        private let stream: ResponseStream
        private let transfer: Transfer
        private let loop: TransferLoop

        init(stream: ResponseStream, transfer: Transfer, loop: TransferLoop) {
            self.stream = stream
            self.transfer = transfer
            self.loop = loop
        }

        deinit { loop.cancel(transfer) }

        func next() async throws(HTTPBodyError) -> [UInt8]? {
            try await stream.next { loop.resume(transfer) }
        }
    }
}
