internal import HTTPMessages
private import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Gives files and thumbnails to clients.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>
struct Downloading: RouteGroup {
    let environment: Environment
    let reader: MediaReader
    let thumbnailer: Thumbnailer

    func register(on router: inout Router) {
        router.on(.getConfigAuthed) { _, _ in configuration }
        router.on(.getConfig) { _, _ in configuration }
        router.on(.getContentAuthed) { request, _ in try await download(request) }
        router.on(.getContentOverrideNameAuthed) { request, _ in try await download(request) }
        router.on(.getContentThumbnailAuthed) { request, _ in try await thumbnail(request) }
        // Without a token: frozen since the first day, unless the operator thaws it.
        router.onPublic(.getContent) { try await unauthenticated($0, download) }
        router.onPublic(.getContentOverrideName) { try await unauthenticated($0, download) }
        router.onPublic(.getContentThumbnail) { try await unauthenticated($0, thumbnail) }
    }

    private var configuration: APIResponse {
        .json(["m.upload.size": .integer(environment.configuration.media.maxUploadBytes)])
    }

    private func unauthenticated(
        _ request: APIRequest, _ answer: (APIRequest) async throws -> APIResponse
    ) async throws -> APIResponse {
        guard environment.configuration.clients.legacyMedia else { throw ContentURI.notFound }
        return try await answer(request)
    }

    /// `allow_redirect` is understood and never needed: files are always given from here.
    private func open(_ request: APIRequest) async throws -> MediaReader.Found {
        _ = try request.queryBoolean("allow_redirect")
        return try await reader.open(
            ContentURI(request), timeout: reader.timeout(of: request),
            allowsRemote: try request.queryBoolean("allow_remote", default: true))
    }

    private func download(_ request: APIRequest) async throws -> APIResponse {
        let found = try await open(request)
        return MediaAnswer.file(
            found.file, tag: found.hash, contentType: MediaAnswer.contentType(found.record.contentType),
            fileName: request.parameters["fileName"] ?? found.record.fileName, to: request.head)
    }

    private func thumbnail(_ request: APIRequest) async throws -> APIResponse {
        let size = try ThumbnailSize(request)
        let found = try await open(request)
        let made: Thumbnailer.Made?
        do {
            made = try await thumbnailer.thumbnail(
                of: found, size, isAnimated: try request.queryBoolean("animated"))
        } catch var error as MatrixError {
            if error.code == .tooLarge, found.record.origin != environment.serverName { error.status = 502 }
            throw error
        }
        guard let made else { throw ContentURI.notFound }
        return MediaAnswer.file(
            made.file, tag: made.tag, contentType: made.contentType, fileName: made.fileName, to: request.head)
    }
}
