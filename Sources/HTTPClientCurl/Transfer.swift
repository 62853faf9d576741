internal import CCurl
internal import HTTPMessages
internal import HTTPTypes
internal import Synchronization

#if canImport(Glibc)
    private import Glibc
#elseif canImport(Musl)
    private import Musl
#endif

/// One request on its way, and what has come back. Made by the task that waits for it, then touched by the loop's thread
/// only, whose callbacks find it through an unretained pointer: the loop keeps it until its handle is freed.
final class Transfer: @unchecked Sendable {
    let deadline: ContinuousClock.Instant
    let isCancelled = Atomic(false)
    private(set) var easy: UnsafeMutableRawPointer?

    private let request: ClientRequest
    private let url: String
    private let limits: CurlClientLimits
    private let userAgent: String
    private let proxy: String
    /// A mail instead of a request.
    private let delivery: MailDelivery?
    private var given = 0
    private var continuation: CheckedContinuation<Result<ClientResponse, HTTPClientError>, Never>?
    private var lists: [UnsafeMutablePointer<curl_slist>] = []

    private var fields = HTTPFields()
    private var headerBytes = 0
    private var body: [UInt8] = []
    private var isTooLarge = false
    private var isRefused = false
    /// Where the body goes piece by piece; nil: it is collected.
    private let stream: ResponseStream?
    private var streamedBytes = 0

    /// - Throws: ``HTTPClientError/other(_:)`` if the request cannot be written as HTTP.
    init(
        _ request: ClientRequest, _ configuration: CurlClient.Configuration, into stream: ResponseStream? = nil
    ) throws(HTTPClientError) {
        url = try RequestURL.write(request)
        self.request = request
        delivery = nil
        self.stream = stream
        limits = configuration.limits
        userAgent = configuration.userAgent
        proxy = configuration.proxy ?? ""
        deadline = .now + request.timeout
    }

    /// A mail. The operator named the server, so it may be a private address.
    /// - Throws: ``HTTPClientError/other(_:)`` if the mail cannot be written as SMTP.
    init(_ delivery: MailDelivery, _ configuration: CurlClient.Configuration) throws(HTTPClientError) {
        url = try delivery.url()
        request = ClientRequest(
            host: delivery.server.host, timeout: delivery.mail.timeout, maximumResponseBytes: 64 << 10,
            allowPrivateAddresses: true, verifyTLS: delivery.server.verifyTLS)
        self.delivery = delivery
        stream = nil
        limits = configuration.limits
        userAgent = ""
        proxy = ""
        deadline = .now + delivery.mail.timeout
    }

    deinit { release() }

    func start(_ continuation: CheckedContinuation<Result<ClientResponse, HTTPClientError>, Never>) {
        self.continuation = continuation
    }

    /// Wakes the waiting task, once. Ends the stream, if there is one.
    func finish(_ result: Result<ClientResponse, HTTPClientError>) {
        answer(result)
        guard let stream else { return }
        switch result {
        case .success: stream.end(.success(()))
        case .failure(.responseTooLarge): stream.end(.failure(.tooLarge))
        case .failure(.timedOut): stream.end(.failure(.timedOut))
        case .failure: stream.end(.failure(.disconnected))
        }
    }

    private func answer(_ result: Result<ClientResponse, HTTPClientError>) {
        continuation?.resume(returning: result)
        continuation = nil
    }

    /// Goes on with a stream that was held on. On the loop's thread.
    func resume() {
        if let easy { curl_easy_pause(easy, CURLPAUSE_CONT) }
    }

    /// Frees the handle; it must be out of the loop.
    func release() {
        if let easy { curl_easy_cleanup(easy) }
        easy = nil
        for list in lists { curl_slist_free_all(list) }
        lists = []
    }

    /// What libcurl's result means.
    func outcome(_ code: CURLcode) -> Result<ClientResponse, HTTPClientError> {
        if let delivery, let result = outcome(code, of: delivery) { return result }
        if isTooLarge || code == CURLE_FILESIZE_EXCEEDED { return .failure(.responseTooLarge) }
        guard code != CURLE_OK else {
            let status = easy.map { fedchat_curl_get_long($0, CURLINFO_RESPONSE_CODE) } ?? 0
            let effective = easy.flatMap { fedchat_curl_get_text($0, CURLINFO_EFFECTIVE_URL) }
            return .success(
                ClientResponse(
                    status: status, fields: fields, body: body,
                    effectiveURL: effective.map { String(cString: $0) } ?? url))
        }
        let text = String(cString: curl_easy_strerror(code))
        switch code {
        case _ where isRefused: return .failure(.refusedAddress)
        case CURLE_OPERATION_TIMEDOUT: return .failure(.timedOut)
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_PROXY:
            return .failure(.couldNotConnect(text))
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_SHUTDOWN_FAILED, CURLE_SSL_CRL_BADFILE:
            return .failure(.tls(text))
        default: return .failure(.other(text))
        }
    }
}

// MARK: The handle

extension Transfer {
    /// Makes the handle.
    /// - Returns: `nil` if libcurl refuses an option.
    func prepare(at now: ContinuousClock.Instant, _ authorities: String?) -> UnsafeMutableRawPointer? {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        var options = EasyOptions(easy)
        options.set(CURLOPT_URL, url)
        options.set(CURLOPT_PROTOCOLS_STR, "http,https")
        options.set(CURLOPT_PATH_AS_IS, 1)
        options.set(CURLOPT_NOSIGNAL, 1)
        options.set(CURLOPT_PROXY, proxy)
        options.set(CURLOPT_USERAGENT, userAgent)
        options.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
        options.set(CURLOPT_TCP_KEEPALIVE, 1)
        options.set(CURLOPT_MAXAGE_CONN, Int(limits.maximumIdleTime.components.seconds))
        options.set(CURLOPT_CONNECTTIMEOUT_MS, limits.connectTimeout.wholeMilliseconds)
        options.set(CURLOPT_TIMEOUT_MS, (deadline - now).wholeMilliseconds)
        options.setOffset(CURLOPT_MAXFILESIZE_LARGE, max(request.maximumResponseBytes, 1))
        secure(&options, authorities)
        if let delivery {
            shape(delivery, &options)
            attachCallbacks(&options)
            return options.areAccepted ? easy : nil
        }
        shape(&options)
        if let target = request.connectTo {
            let host = RequestURL.bracketed(request.host)
            append(
                CURLOPT_CONNECT_TO, ["\(host):\(request.port):\(RequestURL.bracketed(target.host)):\(target.port)"],
                &options)
        }
        if request.followRedirects > 0, request.method == .get || request.method == .head {
            options.set(CURLOPT_FOLLOWLOCATION, 1)
            options.set(CURLOPT_MAXREDIRS, request.followRedirects)
            options.set(CURLOPT_REDIR_PROTOCOLS_STR, request.scheme == "https" ? "https" : "http,https")
        }
        attachCallbacks(&options)
        return options.areAccepted ? easy : nil
    }

    private func secure(_ options: inout EasyOptions, _ authorities: String?) {
        options.set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        // Without this, Debian's default folder makes each connection parse every certificate anew.
        options.set(CURLOPT_CAPATH, nil)
        if let authorities { options.set(CURLOPT_CAINFO, authorities) }
        if !request.verifyTLS {
            options.set(CURLOPT_SSL_VERIFYPEER, 0)
            options.set(CURLOPT_SSL_VERIFYHOST, 0)
        }
    }

    /// Method, fields and body.
    private func shape(_ options: inout EasyOptions) {
        var lines: [String] = []
        var hasType = false
        for field in request.fields {
            switch field.name {
            case .contentLength, .transferEncoding, .expect: continue
            case .userAgent: options.set(CURLOPT_USERAGENT, field.value)
            case .contentType:
                hasType = true
                fallthrough
            default:
                // A field with nothing after the colon would be left out.
                lines.append(field.value.isEmpty ? "\(field.name.rawName);" : "\(field.name.rawName): \(field.value)")
            }
        }
        switch request.method {
        case .get where request.body.isEmpty:
            options.set(CURLOPT_HTTPGET, 1)
        case .head:
            options.set(CURLOPT_NOBODY, 1)
        case let method:
            if !request.body.isEmpty || method == .post || method == .put {
                options.set(CURLOPT_POST, 1)
                options.copyBody(request.body)
                if !hasType { lines.append("Content-Type:") }
                lines.append("Expect:")
            }
            options.set(CURLOPT_CUSTOMREQUEST, method.rawValue)
        }
        if !lines.isEmpty { append(CURLOPT_HTTPHEADER, lines, &options) }
    }

    func append(_ option: CURLoption, _ lines: [String], _ options: inout EasyOptions) {
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines {
            guard let longer = curl_slist_append(list, line) else {
                curl_slist_free_all(list)
                return options.refuse()
            }
            list = longer
        }
        guard let list else { return }
        lists.append(list)
        options.setList(option, list)
    }

    private func attachCallbacks(_ options: inout EasyOptions) {
        let me = Unmanaged.passUnretained(self).toOpaque()
        options.setReceiver(CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            Transfer.at(context)?.receive(UnsafeRawBufferPointer(start: bytes, count: size &* count)) ?? 0
        }
        options.setPointer(CURLOPT_WRITEDATA, me)
        options.setReceiver(CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            Transfer.at(context)?.receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size &* count)) ?? 0
        }
        options.setPointer(CURLOPT_HEADERDATA, me)
        guard !request.allowPrivateAddresses else { return }
        options.setOpenSocket { context, _, address in
            guard let address else { return CURL_SOCKET_BAD }
            var bytes = [UInt8](repeating: 0, count: 16)
            let count = Int(fedchat_curl_address(address, &bytes))
            guard AddressPolicy.isPublic(Array(bytes.prefix(count))) else {
                Transfer.at(context)?.isRefused = true
                return CURL_SOCKET_BAD
            }
            let made = address.pointee
            return socket(made.family, made.socktype | Int32(SOCK_CLOEXEC.rawValue), made.protocol)
        }
        options.setPointer(CURLOPT_OPENSOCKETDATA, me)
        // A kept connection, made by a request that allowed more, opens no socket.
        options.setPrerequest { context, address, _, _, _ in
            if let address, AddressPolicy.isPublic(String(cString: address)) { return CURL_PREREQFUNC_OK }
            Transfer.at(context)?.isRefused = true
            return CURL_PREREQFUNC_ABORT
        }
        options.setPointer(CURLOPT_PREREQDATA, me)
    }

    static func at(_ context: UnsafeMutableRawPointer?) -> Transfer? {
        context.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
    }
}

// MARK: What comes back

extension Transfer {
    /// The next bytes of a mail.
    /// - Returns: how many were given; 0 at the end.
    func give(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let content = delivery?.mail.content, given < content.count else { return 0 }
        let count = min(buffer.count, content.count - given)
        buffer.copyBytes(from: content[given..<given + count])
        given += count
        return count
    }
}

extension Transfer {
    /// - Returns: how many bytes were taken; fewer end the transfer.
    private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
        if let stream { return receive(bytes, into: stream) }
        guard bytes.count <= request.maximumResponseBytes - body.count else {
            isTooLarge = true
            return 0
        }
        body.append(contentsOf: bytes)
        return bytes.count
    }

    private func receive(_ bytes: UnsafeRawBufferPointer, into stream: ResponseStream) -> Int {
        guard bytes.count <= request.maximumResponseBytes - streamedBytes else {
            isTooLarge = true
            return 0
        }
        if !bytes.isEmpty {
            // Where there is no place, libcurl gives the same bytes again later.
            guard stream.put(Array(bytes)) else { return Int(CURL_WRITEFUNC_PAUSE) }
        }
        streamedBytes += bytes.count
        let status = easy.map { fedchat_curl_get_long($0, CURLINFO_RESPONSE_CODE) } ?? 0
        answer(.success(ClientResponse(status: status, fields: fields, effectiveURL: url)))
        return bytes.count
    }

    private func receiveHeader(_ line: UnsafeRawBufferPointer) -> Int {
        headerBytes += line.count
        guard headerBytes <= limits.maximumHeaderBytes, fields.count < limits.maximumHeaderFields else {
            isTooLarge = true
            return 0
        }
        if line.starts(with: "HTTP/".utf8) {
            // Another response: after an informational one, or a redirect.
            fields = HTTPFields()
            body = []
        } else if let colon = line.firstIndex(of: UInt8(ascii: ":")),
            let name = HTTPField.Name(String(decoding: line[..<colon], as: UTF8.self))
        {
            let value = String(decoding: line[(colon + 1)...], as: UTF8.self)
            fields.append(HTTPField(name: name, value: value))
        }
        return line.count
    }
}
