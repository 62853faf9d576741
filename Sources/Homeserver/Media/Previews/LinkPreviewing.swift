internal import Cryptography
internal import HTTPMessages
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
private import SQLDatabase

/// Tells clients what is behind a link. Off unless the operator wants it: it shows the server's address to whomever a user
/// names, and links of encrypted rooms to the server.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url>
struct LinkPreviewing: RouteGroup {
    let environment: Environment
    let files: MediaFiles
    let limiter: RateLimiter
    private let fetching: PreviewFetching
    private let flights = SingleFlight<String, [UInt8]>()
    private let gate: Gate

    init(environment: Environment, files: MediaFiles, limiter: RateLimiter) {
        self.environment = environment
        self.files = files
        self.limiter = limiter
        fetching = PreviewFetching(environment: environment)
        gate = Gate(environment.configuration.limits.previewFetches, maximumWaiting: MediaLimits.previewsWaiting)
    }

    func register(on router: inout Router) {
        router.on(.getUrlPreviewAuthed, preview)
        router.on(.getUrlPreview, preview)
    }

    @Sendable private func preview(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard let text = request.query("url") else { throw MatrixError(.missingParameter, "Missing url") }
        guard text.utf8.count <= MediaLimits.previewAddress, let start = WebAddress("http://localhost/"),
            text.contains("://"), let address = start.resolved(text)
        else { throw MatrixError(.invalidParameter, "url is no http or https URL") }
        guard fetching.mayAsk(address) else { throw MatrixError(.forbidden, "There are no previews of this URL") }
        try await limiter.take(.previews, who: requester.user.text)
        let now = environment.clock.now()
        let time = try request.queryInteger("ts", default: Int(now), in: 0...Int(now))
        let hash = Hex.encode(SHA256.hash(Array(address.text.utf8)))
        let known = try await environment.database.read { [sealer = environment.sealer] in
            try PreviewStore($0, sealer).preview(of: hash, at: Int64(time))
        }
        let fresh = environment.configuration.timeouts.previewFresh
        // Of another time, what was kept then is the best there is.
        if let known, now - known.fetched < fresh || now - Int64(time) >= fresh {
            return .json(bytes: known.body)
        }
        let body = try await flights.run(hash) {
            try await gate.pass {
                let body = try await make(address).serialized()
                let preview = PreviewStore.Preview(fetched: environment.clock.now(), body: body)
                let maximum = environment.configuration.limits.previewsCached
                try await environment.database.write { [sealer = environment.sealer] in
                    try PreviewStore($0, sealer).save(preview, of: hash, maximum: maximum)
                }
                return body
            }
        }
        return .json(bytes: body)
    }

    private static let unusable = MatrixError(.unknown, "There is no preview of this URL to be had", status: 502)

    /// Asks the page, and what it refers to.
    private func make(_ address: WebAddress) async throws -> JSONValue {
        let deadline =
            environment.clock.monotonic() + .milliseconds(environment.configuration.timeouts.preview)
        guard
            let found = await fetching.fetch(
                address, accept: "text/html,application/xhtml+xml,image/*;q=0.8,*/*;q=0.1", deadline: deadline)
        else { throw Self.unusable }
        switch found.essence {
        case "text/html", "application/xhtml+xml": return try await page(found, deadline)
        case let type where type.hasPrefix("image/"):
            var fields = try await keep(found)
            let name = found.address.pathAndQuery.prefix { $0 != "?" }.split(separator: "/").last.map(String.init)
            fields["og:title"] = name.map { .string(PercentEncoding.decode($0) ?? $0) }
            fields["og:url"] = .string(found.address.text)
            return .object(fields)
        default: return .object(["og:url": .string(found.address.text)])
        }
    }

    private func page(_ found: PreviewFetching.Found, _ deadline: Duration) async throws -> JSONValue {
        let bytes = await found.beginning(environment.configuration.limits.previewPageBytes)
        let summary = PageSummary(CharacterDecoding.utf8(bytes, contentType: found.contentType))
        let base = summary.base.flatMap(found.address.resolved) ?? found.address
        var fields: [String: JSONValue] = [:]
        // What a page says of its picture's size and type may be wrong, and is of another picture than ours.
        for (name, value) in summary.properties where !name.hasPrefix("og:image") && name.utf8.count <= 64 {
            fields[name] = .string(value)
        }
        var title = summary.title
        var image = summary.image
        if let place = summary.embed.flatMap(base.resolved), title == nil || image == nil,
            let embed = await embed(place, deadline)
        {
            title = title ?? embed.title
            image = image ?? embed.image
            if fields["og:site_name"] == nil { fields["og:site_name"] = embed.provider.map { .string($0) } }
        }
        fields["og:title"] = title.map { .string($0) }
        fields["og:description"] = summary.description.map { .string($0) }
        if fields["og:url"] == nil { fields["og:url"] = .string(found.address.text) }
        if let place = image.flatMap(base.resolved),
            let picture = await fetching.fetch(place, accept: "image/*", deadline: deadline),
            picture.essence.hasPrefix("image/")
        {
            do { fields.merge(try await keep(picture)) { $1 } } catch let error as MatrixError where error.status < 500
            {
                // The page without its picture.
            }
        }
        return .object(fields)
    }

    private struct Embed {
        var title: String?
        var image: String?
        var provider: String?
    }

    /// See <https://oembed.com/#section2.3>
    private func embed(_ address: WebAddress, _ deadline: Duration) async -> Embed? {
        guard let found = await fetching.fetch(address, accept: "application/json", deadline: deadline),
            let document = try? JSONDocument(await found.beginning(MediaLimits.previewEmbed)),
            document.root.kind == .object
        else { return nil }
        func text(_ name: String) -> String? { document.root[name]?.string.flatMap(PageSummary.tidied) }
        return Embed(
            title: text("title") ?? text("author_name"),
            image: text("thumbnail_url") ?? (text("type") == "photo" ? text("url") : nil),
            provider: text("provider_name"))
    }

    /// Keeps a picture for as long as its preview, and tells of it.
    private func keep(_ picture: PreviewFetching.Found) async throws -> [String: JSONValue] {
        // What may run scripts is no picture for us.
        guard picture.essence != "image/svg+xml" else { throw Self.unusable }
        let stored: MediaFiles.Stored
        do {
            stored = try await files.keep(
                picture.body, maximum: Int64(environment.configuration.limits.previewImageBytes))
        } catch is HTTPBodyError { throw MatrixError(.tooLarge, "The picture is too large") }
        let now = environment.clock.now()
        let timeouts = environment.configuration.timeouts
        let record = MediaRecord(
            origin: environment.serverName, mediaID: environment.random.token(24),
            contentType: MediaAnswer.contentType(picture.contentType), length: stored.length,
            contentHash: stored.hash, created: now, lastUsed: now,
            // Whoever was given the preview at the last moment can still have the picture.
            expires: now + timeouts.previewKept + timeouts.previewFresh)
        try await environment.database.groupedWrite { try MediaStore($0).save(record) }
        var fields: [String: JSONValue] = [
            "og:image": .string("mxc://\(record.origin)/\(record.mediaID)"),
            "og:image:type": .string(picture.essence), "matrix:image:size": .integer(stored.length),
        ]
        if let file = try await files.store.open(stored.hash, length: stored.length),
            let header = ImageHeader(try await file.beginning(MediaLimits.imageHeader))
        {
            fields["og:image:width"] = .integer(Int64(header.width))
            fields["og:image:height"] = .integer(Int64(header.height))
        }
        return fields
    }
}
