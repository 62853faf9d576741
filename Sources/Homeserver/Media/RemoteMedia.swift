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
        var body: HTTPBody
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
                let stored: MediaFiles.Stored
                do {
                    stored = try await files.keep(
                        fetched.body, maximum: environment.configuration.media.maxUploadBytes)
                } catch let error as HTTPBodyError {
                    environment.logger.info(
                        "no media from another server", metadata: ["server": "\(uri.origin)", "cause": "\(error)"])
                    throw error == .tooLarge ? Self.tooLarge : Self.unusable
                }
                let now = environment.clock.now()
                let record = MediaRecord(
                    origin: uri.origin, mediaID: uri.mediaID, contentType: fetched.contentType,
                    fileName: fetched.fileName, length: stored.length, contentHash: stored.hash, created: now,
                    lastUsed: now)
                // Read again, for these bytes may be quarantined under another name.
                return try await environment.database.groupedWrite { connection in
                    let store = MediaStore(connection)
                    try store.save(record)
                    return try store.record(record.origin, record.mediaID) ?? record
                }
            }
        }
    }

    private var maximumBytes: Int {
        let sum = environment.configuration.media.maxUploadBytes.addingReportingOverflow(
            Int64(MediaLimits.multipartOverhead))
        return sum.overflow ? .max : Int(clamping: sum.partialValue)
    }

    private var wholeTime: Duration { .milliseconds(environment.configuration.timeouts.remoteMedia) }

    private func download(_ uri: ContentURI, timeout: Int) async throws -> Fetched {
        let call = APICall(
            .federationGetContent, ["mediaId": uri.mediaID], query: [("timeout_ms", String(timeout))])
        do throws(FederationError) {
            let answer = try await federation.stream(
                call, to: uri.origin, timeout: wholeTime, maximumBytes: maximumBytes)
            let type = answer.fields[.contentType] ?? ""
            guard let boundary = MultipartMixed.boundary(of: type) else {
                throw FederationError.malformed("media came as \(type.prefix(100)), not multipart/mixed")
            }
            let file: MultipartFile
            do { file = try await MultipartFile(answer.body, boundary: boundary) } catch {
                throw FederationError.malformed("\(error)")
            }
            if let location = file.fields["location"] { return try await follow(location) }
            return fetched(file.body, file.fields["content-type"], file.fields["content-disposition"])
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
            let answer = try await federation.stream(
                call, to: uri.origin, timeout: wholeTime, maximumBytes: maximumBytes)
            return fetched(answer.body, answer.fields[.contentType], answer.fields[.contentDisposition])
        } catch { throw answer(to: error, of: uri) }
    }

    /// Fetches from where the other server says the file lies: over TLS, and not inside of our own network.
    private func follow(_ location: String) async throws(FederationError) -> Fetched {
        guard let address = WebAddress(location), address.scheme == "https" else {
            throw .malformed("the media's location is no https URL")
        }
        let request = ClientRequest(
            host: address.requestHost, port: address.port, pathAndQuery: address.pathAndQuery,
            fields: [.userAgent: "fedchatd"], timeout: wholeTime, maximumResponseBytes: maximumBytes,
            allowPrivateAddresses: environment.configuration.federation.allowPrivateAddresses)
        let response: StreamedResponse
        do {
            response = try await RedirectedRequest(
                request, maximum: MediaLimits.redirects, onlyTLS: true, clock: environment.clock
            ).stream(environment.httpClient)
        } catch { throw .unreachable("\(error)") }
        guard response.status == 200 else { throw .refused(status: response.status, nil) }
        return fetched(
            response.body, response.fields[.contentType], response.fields[.contentDisposition])
    }

    private func fetched(_ body: HTTPBody, _ contentType: String?, _ disposition: String?) -> Fetched {
        Fetched(
            body: body, contentType: MediaAnswer.contentType(contentType),
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
