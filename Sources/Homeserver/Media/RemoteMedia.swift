internal import Federation
internal import HTTPMessages
internal import HTTPTypes
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
private import SQLDatabase

/// Fetches other servers' files, each once for all who want it, and keeps them.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#content-repository>
struct RemoteMedia: Sendable {
    let environment: Environment
    let federation: FederationClient
    let files: MediaFiles
    private let flights = SingleFlight<ContentURI, MediaRecord>()
    private let gate: Gate

    init(environment: Environment, federation: FederationClient, files: MediaFiles) {
        self.environment = environment
        self.federation = federation
        self.files = files
        gate = Gate(
            environment.configuration.limits.remoteMediaFetches, maximumWaiting: MediaLimits.remoteFetchesWaiting)
    }

    /// What came, before it is kept.
    private struct Fetched {
        var bytes: ArraySlice<UInt8>
        var contentType: String?
        var fileName: String?
    }

    private static let tooLarge = MatrixError(.tooLarge, "The other server's file is too large", status: 502)
    private static let unusable = MatrixError(
        .unknown, "The other server did not give the file", status: 502)

    /// Fetches a file. Throws `M_NOT_FOUND`, `M_NOT_YET_UPLOADED`, `M_TOO_LARGE`, and 502 for a server that gives no
    /// answer that can be used.
    func fetch(_ uri: ContentURI, timeout: Int) async throws -> MediaRecord {
        try await flights.run(uri) {
            try await gate.pass {
                let fetched = try await download(uri, timeout: timeout)
                guard Int64(fetched.bytes.count) <= environment.configuration.media.maxUploadBytes else {
                    throw Self.tooLarge
                }
                let stored = try await files.store(fetched.bytes)
                let now = environment.clock.now()
                let record = MediaRecord(
                    origin: uri.origin, mediaID: uri.mediaID, contentType: fetched.contentType,
                    fileName: fetched.fileName, length: stored.length, contentHash: stored.hash, created: now,
                    lastUsed: now)
                try await environment.database.groupedWrite { try MediaStore($0).save(record) }
                return record
            }
        }
    }

    private var maximumBytes: Int {
        let sum = environment.configuration.media.maxUploadBytes.addingReportingOverflow(
            Int64(MediaLimits.multipartOverhead))
        return sum.overflow ? .max : Int(clamping: sum.partialValue)
    }

    private func download(_ uri: ContentURI, timeout: Int) async throws -> Fetched {
        let call = APICall(
            .federationGetContent, ["mediaId": uri.mediaID], query: [("timeout_ms", String(timeout))])
        do throws(FederationError) {
            let answer = try await send(call, to: uri)
            let type = answer.fields[.contentType] ?? ""
            guard let boundary = MultipartMixed.boundary(of: type) else {
                throw FederationError.malformed("media came as \(type.prefix(100)), not multipart/mixed")
            }
            let content: MultipartMixed.Content
            do { content = try MultipartMixed.read(answer.body, boundary: boundary) } catch {
                throw FederationError.malformed("\(error)")
            }
            switch content {
            case .file(let bytes, let contentType, let disposition):
                return fetched(bytes, contentType, disposition)
            case .location(let location): return try await follow(location)
            }
        } catch {
            // Servers older than version 1.11 know only the endpoint without a signature.
            if case .refused(404, let answer) = error, answer?.code == .unrecognized {
                return try await downloadUnsigned(uri, timeout: timeout)
            }
            throw answer(to: error, of: uri)
        }
    }

    private func downloadUnsigned(_ uri: ContentURI, timeout: Int) async throws -> Fetched {
        let call = APICall(
            .getContent, ["serverName": uri.origin.text, "mediaId": uri.mediaID],
            query: [("allow_remote", "false"), ("timeout_ms", String(timeout))])
        do throws(FederationError) {
            let answer = try await send(call, to: uri)
            return fetched(answer.body[...], answer.fields[.contentType], answer.fields[.contentDisposition])
        } catch { throw answer(to: error, of: uri) }
    }

    private func send(
        _ call: APICall, to uri: ContentURI
    ) async throws(FederationError) -> FederationClient.Answer {
        try await federation.send(
            call, to: uri.origin, timeout: .milliseconds(environment.configuration.timeouts.federationRequest),
            maximumBytes: maximumBytes)
    }

    /// Fetches from where the other server says the file lies: over TLS, and not inside of our own network.
    private func follow(_ location: String) async throws(FederationError) -> Fetched {
        guard let address = WebAddress(location), address.scheme == "https" else {
            throw .malformed("the media's location is no https URL")
        }
        let request = ClientRequest(
            host: address.requestHost, port: address.port, pathAndQuery: address.pathAndQuery,
            fields: [.userAgent: "fedchatd"],
            timeout: .milliseconds(environment.configuration.timeouts.federationRequest),
            maximumResponseBytes: maximumBytes,
            allowPrivateAddresses: environment.configuration.federation.allowPrivateAddresses,
            followRedirects: MediaLimits.redirects)
        let response: ClientResponse
        do { response = try await environment.httpClient.send(request) } catch { throw .unreachable("\(error)") }
        guard response.status == 200 else { throw .refused(status: response.status, nil) }
        return fetched(
            response.body[...], response.fields[.contentType], response.fields[.contentDisposition])
    }

    private func fetched(_ bytes: ArraySlice<UInt8>, _ contentType: String?, _ disposition: String?) -> Fetched {
        Fetched(
            bytes: bytes, contentType: MediaAnswer.contentType(contentType),
            fileName: disposition.flatMap(ContentDisposition.fileName))
    }

    /// What our client is told; another server's words are not repeated.
    private func answer(to error: FederationError, of uri: ContentURI) -> MatrixError {
        environment.logger.info(
            "no media from another server", metadata: ["server": "\(uri.origin)", "cause": "\(error)"])
        switch error {
        case .notAllowed: return MatrixError(.forbidden, "Not allowed to federate with that server")
        case .refused(_, let answer) where answer?.code == .notYetUploaded: return MediaReader.notYetUploaded
        case .refused(_, let answer) where answer?.code == .tooLarge: return Self.tooLarge
        case .refused(404, _): return ContentURI.notFound
        case .unreachable("\(HTTPClientError.responseTooLarge)"): return Self.tooLarge
        default: return Self.unusable
        }
    }
}
