internal import Cryptography
internal import HTTPMessages
internal import HTTPTypes

/// Speaks to an S3-compatible store: the few calls that a store of files needs.
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>
struct S3Client: Sendable {
    /// An answer that is not what was asked for. For the log.
    struct Failure: Error, CustomStringConvertible {
        let operation: String
        /// 0: there was no answer.
        let status: Int
        let code: String

        var isMissing: Bool { status == 404 }
        /// Whether the same may work a little later.
        var isTemporary: Bool { status == 0 || status == 429 || status >= 500 }

        var description: String { "S3: \(operation): \(status) \(code)" }
    }

    private let address: WebAddress
    private let settings: HomeserverConfiguration.S3
    private let signature: AWSSignature
    private let httpClient: any HTTPClient
    private let clock: any ServerClock

    /// `nil` when the endpoint is no URL.
    init?(_ settings: HomeserverConfiguration.S3, httpClient: any HTTPClient, clock: any ServerClock) {
        guard let address = WebAddress(settings.endpoint) else { return nil }
        self.address = address
        self.settings = settings
        signature = AWSSignature(
            accessKeyID: settings.accessKeyID, secretAccessKey: settings.secretAccessKey ?? [],
            region: settings.region)
        self.httpClient = httpClient
        self.clock = clock
    }

    func put(_ key: [String], _ bytes: [UInt8]) async throws { _ = try await call("put", .put, key, body: bytes) }

    /// How many bytes an object has, and when it was written (milliseconds since 1970); `nil` when it is not there.
    func head(_ key: [String]) async throws -> (length: Int64, modified: Int64?)? {
        do {
            let response = try await call("head", .head, key)
            guard let length = response.fields[.contentLength].flatMap({ Int64($0) }) else {
                throw Failure(operation: "head", status: response.status, code: "no length")
            }
            return (length, response.fields[.lastModified].flatMap(CivilDate.milliseconds(httpDate:)))
        } catch let failure as Failure where failure.isMissing { return nil }
    }

    /// A part of an object.
    func get(_ key: [String], offset: Int64, count: Int) async throws -> [UInt8] {
        let range = "bytes=\(offset)-\(offset + Int64(count) - 1)"
        let response = try await call("get", .get, key, headers: [("range", range)], maximum: count)
        guard response.status == 206 || (response.status == 200 && offset == 0), response.body.count == count else {
            throw Failure(operation: "get", status: response.status, code: "another part than was asked for")
        }
        return response.body
    }

    func delete(_ key: [String]) async throws {
        do { _ = try await call("delete", .delete, key) } catch let failure as Failure where failure.isMissing {}
    }

    /// The next names of objects that begin with something, in order: a thousand at most, and whether there are more.
    func list(beginning prefix: String, after: String?) async throws -> (keys: [String], hasMore: Bool) {
        var query = [(name: "list-type", value: "2"), (name: "prefix", value: prefix)]
        if let after { query.append((name: "start-after", value: after)) }
        let response = try await call("list", .get, [], query: query)
        guard let hasMore = Self.element("IsTruncated", in: response.body) else {
            throw Failure(operation: "list", status: response.status, code: "no list")
        }
        return (Self.elements("Key", in: response.body), hasMore == "true")
    }

    // MARK: Large objects, in parts

    /// Begins an object of parts and gives the id of the upload.
    func beginParts(_ key: [String]) async throws -> String {
        let response = try await call("begin", .post, key, query: [("uploads", "")])
        guard let id = Self.element("UploadId", in: response.body), id.utf8.count <= 1024 else {
            throw Failure(operation: "begin", status: response.status, code: "no upload id")
        }
        return id
    }

    /// Uploads a part, the first being 1, and gives its tag.
    func putPart(_ number: Int, of upload: String, _ key: [String], _ bytes: [UInt8]) async throws -> String {
        let query = [(name: "partNumber", value: String(number)), (name: "uploadId", value: upload)]
        let response = try await call("part", .put, key, query: query, body: bytes)
        guard let tag = response.fields[.eTag], tag.utf8.count <= 256 else {
            throw Failure(operation: "part", status: response.status, code: "no tag")
        }
        return tag
    }

    /// Makes an object of its parts.
    func finishParts(_ tags: [String], of upload: String, _ key: [String]) async throws {
        let parts = tags.enumerated().map { number, tag in
            let tag = tag.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            return "<Part><PartNumber>\(number + 1)</PartNumber><ETag>\(tag)</ETag></Part>"
        }
        let body = "<CompleteMultipartUpload>\(parts.joined())</CompleteMultipartUpload>"
        let response = try await call(
            "finish", .post, key, query: [("uploadId", upload)], body: Array(body.utf8))
        // The status is sent before the work is done: what came of it stands in the body.
        guard Self.element("ETag", in: response.body) != nil else {
            throw Failure(
                operation: "finish", status: 500, code: Self.element("Code", in: response.body) ?? "no result")
        }
    }

    /// Gives up an upload, so that its parts cost nothing.
    func abandonParts(of upload: String, _ key: [String]) async throws {
        _ = try await call("abandon", .delete, key, query: [("uploadId", upload)])
    }

    // MARK: One call

    private func call(
        _ operation: String, _ method: HTTPRequest.Method, _ key: [String],
        query: [(name: String, value: String)] = [], headers: [(name: String, value: String)] = [],
        body: [UInt8] = [], maximum: Int = MediaLimits.s3Answer
    ) async throws -> ClientResponse {
        var pause = Duration.milliseconds(200)
        for attempt in 1... {
            do {
                return try await once(operation, method, key, query, headers, body, maximum)
            } catch let failure as Failure where failure.isTemporary && attempt < MediaLimits.s3Attempts {
                try await clock.sleep(for: pause)
                pause *= 4
            }
        }
        throw CancellationError()
    }

    private func once(
        _ operation: String, _ method: HTTPRequest.Method, _ key: [String],
        _ query: [(name: String, value: String)], _ headers: [(name: String, value: String)], _ body: [UInt8],
        _ maximum: Int
    ) async throws -> ClientResponse {
        let host = settings.isPathStyle ? address.requestHost : "\(settings.bucket).\(address.requestHost)"
        let isUsual = address.port == (address.scheme == "https" ? 443 : 80)
        let bare = settings.isPathStyle ? address.host : host
        let segments = (settings.isPathStyle ? [settings.bucket] : []) + key
        let request = AWSSignature.Request(
            method: method.rawValue, segments: segments, query: query,
            headers: headers + [(name: "host", value: isUsual ? bare : "\(bare):\(address.port)")],
            bodyHash: body.isEmpty ? AWSSignature.emptyHash : Hex.encode(SHA256.hash(body)))
        var fields = HTTPFields()
        for (name, value) in headers + signature.headers(for: request, at: clock.now()) {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        let target = AWSSignature.path(segments) + (query.isEmpty ? "" : "?" + AWSSignature.query(query))
        let response: ClientResponse
        do {
            response = try await httpClient.send(
                ClientRequest(
                    method: method, scheme: address.scheme, host: host, port: address.port, pathAndQuery: target,
                    fields: fields, body: body, timeout: MediaLimits.s3Timeout,
                    maximumResponseBytes: max(maximum, MediaLimits.s3Answer), allowPrivateAddresses: true))
        } catch HTTPClientError.cancelled { throw CancellationError() } catch {
            throw Failure(operation: operation, status: 0, code: "\(error)")
        }
        guard (200..<300).contains(response.status) else {
            throw Failure(
                operation: operation, status: response.status, code: Self.element("Code", in: response.body) ?? "")
        }
        return response
    }

    /// The text of the first XML element of a name, in a small answer.
    static func element(_ name: String, in body: [UInt8]) -> String? { elements(name, in: body, limit: 1).first }

    /// The texts of the XML elements of a name.
    static func elements(_ name: String, in body: [UInt8], limit: Int = MediaLimits.s3Listed) -> [String] {
        let (opening, closing) = (Array("<\(name)>".utf8), Array("</\(name)>".utf8))
        var rest = body.prefix(MediaLimits.s3Answer)
        var found: [String] = []
        while found.count < limit, let start = rest.firstRange(of: opening),
            let end = rest[start.upperBound...].firstRange(of: closing)
        {
            found.append(
                String(decoding: rest[start.upperBound..<end.lowerBound], as: UTF8.self)
                    .replacing("&quot;", with: "\"").replacing("&amp;", with: "&"))
            rest = rest[end.upperBound...]
        }
        return found
    }
}

extension HomeserverConfiguration.S3 {
    /// Whether the endpoint is a URL that can be asked.
    public var isUsable: Bool { WebAddress(endpoint) != nil }
}
