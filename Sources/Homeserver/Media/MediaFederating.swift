internal import Cryptography
private import HTTPTypes
private import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Gives our files to other servers.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid>
struct MediaFederating: RouteGroup {
    let environment: Environment
    let reader: MediaReader
    let thumbnailer: Thumbnailer

    func register(on router: inout Router) {
        router.onServer(.federationGetContent, download)
        router.onServer(.federationGetContentThumbnail, thumbnail)
    }

    @Sendable private func download(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        let found = try await open(request)
        return answer(
            found.file, contentType: MediaAnswer.contentType(found.record.contentType),
            fileName: found.record.fileName)
    }

    @Sendable private func thumbnail(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        let size = try ThumbnailSize(request)
        let found = try await open(request)
        let isAnimated = try request.queryBoolean("animated")
        guard let made = try await thumbnailer.thumbnail(of: found, size, isAnimated: isAnimated) else {
            throw ContentURI.notFound
        }
        return answer(made.file, contentType: made.contentType, fileName: made.fileName)
    }

    private func open(_ request: APIRequest) async throws -> MediaReader.Found {
        try await reader.open(
            ContentURI(request, origin: environment.serverName), timeout: reader.timeout(of: request),
            allowsRemote: false)
    }

    private func answer(_ file: StoredFile, contentType: String, fileName: String?) -> APIResponse {
        let boundary = Hex.encode(environment.random.bytes(16))
        return APIResponse(
            headers: [.contentType: "multipart/mixed; boundary=\(boundary)"],
            body: MultipartMixed.body(
                file, contentType: contentType, fileName: fileName, boundary: boundary))
    }
}
