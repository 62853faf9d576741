internal import Cryptography
internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
private import SQLDatabase

/// Takes files in. Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload>
struct Uploading: RouteGroup {
    let environment: Environment
    let files: MediaFiles

    func register(on router: inout Router) {
        router.on(.uploadContent.taking(.stream), upload)
        router.on(.createContent, create)
        router.on(.uploadContentToMXC.taking(.stream), uploadAnnounced)
    }

    @Sendable private func upload(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        var record = announcement(of: requester)
        try await take(request, into: &record)
        let done = record
        try await environment.database.groupedWrite { try MediaStore($0).save(done) }
        return .json(["content_uri": .string("mxc://\(record.origin)/\(record.mediaID)")])
    }

    @Sendable private func create(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let record = announcement(of: requester)
        let uploader = requester.user.text
        let isCreated = try await environment.database.write { connection in
            let store = MediaStore(connection)
            let pending = try store.pendingCount(
                of: uploader, origin: record.origin,
                since: record.created - environment.configuration.timeouts.pendingUpload)
            guard pending < environment.configuration.limits.pendingUploads else { return false }
            try store.save(record)
            return true
        }
        guard isCreated else { throw MatrixError.limitExceeded(retryAfterMilliseconds: 60_000) }
        return .json([
            "content_uri": .string("mxc://\(record.origin)/\(record.mediaID)"),
            "unused_expires_at": .integer(record.created + environment.configuration.timeouts.pendingUpload),
        ])
    }

    @Sendable private func uploadAnnounced(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let uri = try ContentURI(request)
        let now = environment.clock.now()
        let announced = try await environment.database.read { try MediaStore($0).record(uri.origin, uri.mediaID) }
        guard uri.origin == environment.serverName, var record = announced, record.quarantined == nil else {
            throw ContentURI.notFound
        }
        guard record.uploader == requester.user.text else {
            throw MatrixError(.forbidden, "The media id was created by somebody else")
        }
        let taken = MatrixError(.cannotOverwriteMedia, "Media already uploaded")
        guard record.contentHash == nil else { throw taken }
        guard record.created > now - environment.configuration.timeouts.pendingUpload else { throw ContentURI.notFound }
        try await take(request, into: &record)
        let done = record
        guard try await environment.database.groupedWrite({ try MediaStore($0).complete(done) }) else { throw taken }
        return .empty
    }

    private func announcement(of requester: Requester) -> MediaRecord {
        let now = environment.clock.now()
        return MediaRecord(
            origin: environment.serverName, mediaID: environment.random.token(24), uploader: requester.user.text,
            created: now, lastUsed: now)
    }

    /// Keeps the request's body and notes what it is said to be.
    private func take(_ request: APIRequest, into record: inout MediaRecord) async throws {
        let stored = try await files.store(
            request.stream, maximum: environment.configuration.media.maxUploadBytes)
        record.contentHash = stored.hash
        record.length = stored.length
        record.contentType = MediaAnswer.contentType(request.head.headerFields[.contentType])
        record.fileName = request.query("filename").flatMap(ContentDisposition.cleaned)
        record.lastUsed = environment.clock.now()
    }
}
