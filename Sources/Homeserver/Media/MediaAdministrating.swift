internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Administrators' endpoints for files, on listeners that have the resource `admin`. They are ours, not the specification's:
/// `spec/media.md` has them.
struct MediaAdministrating: RouteGroup {
    let administration: MediaAdministration

    func register(on router: inout Router) {
        router.on(.adminListMedia, asAdmin(list))
        router.on(.adminDeleteMedia, asAdmin(delete))
        router.on(.adminQuarantineMedia, asAdmin(quarantine))
        router.on(.adminReleaseMedia, asAdmin(release))
        router.on(.adminQuarantineUserMedia, asAdmin(quarantineUser))
        router.on(.adminQuarantineRoomMedia, asAdmin(quarantineRoom))
        router.on(.adminPurgeRemoteMedia, asAdmin(purgeRemote))
    }

    private typealias Handling = @Sendable (APIRequest, Requester) async throws -> APIResponse

    private func asAdmin(_ handle: @escaping Handling) -> Handling {
        { request, requester in
            guard requester.isAdmin else { throw MatrixError(.forbidden, "Only administrators may do this") }
            return try await handle(request, requester)
        }
    }

    private func name(_ request: APIRequest) throws(MatrixError) -> MediaAdministration.Name {
        guard let origin = try? ServerName(request.parameter("serverName")),
            let name = MediaAdministration.Name(origin: origin, mediaID: request.parameter("mediaId"))
        else { throw MatrixError(.invalidParameter, "This is no name of a file") }
        return name
    }

    private func answer(_ count: Int) -> APIResponse { .json(["count": .integer(Int64(count))]) }

    @Sendable private func quarantine(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        answer(try await administration.quarantine(name(request), by: requester.user.text))
    }

    @Sendable private func release(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        answer(try await administration.release(name(request)))
    }

    @Sendable private func delete(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard try await administration.delete(name(request)) else { throw ContentURI.notFound }
        return answer(1)
    }

    @Sendable private func quarantineUser(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        answer(try await administration.quarantine(uploadsOf: request.userID(), by: requester.user.text))
    }

    @Sendable private func quarantineRoom(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard let count = try await administration.quarantine(room: request.roomID(), by: requester.user.text) else {
            throw MatrixError(.notFound, "There is no such room here")
        }
        return answer(count)
    }

    @Sendable private func purgeRemote(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard let time = try request.optionalInteger("unused_since") else {
            throw MatrixError(.missingParameter, "Missing unused_since")
        }
        return answer(try await administration.deleteCopies(unusedSince: time))
    }

    @Sendable private func list(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        var filter = MediaStore.Filter()
        filter.uploader = request.query("user_id")
        if request.query("server_name") != nil { filter.origin = try request.identifier("server_name") }
        filter.isQuarantined = try request.queryBoolean("quarantined")
        let after = request.query("from").flatMap(MediaAdministration.Name.init)
        let limit = try request.queryInteger("limit", default: 100, in: 1...1_000)
        let found = try await administration.list(filter, after: after, limit: limit)
        var answer: [String: JSONValue] = ["media": .array(found.map(Self.json))]
        if found.count == limit, let last = found.last {
            answer["next_batch"] = .string("mxc://\(last.origin)/\(last.mediaID)")
        }
        return .json(.object(answer))
    }

    private static func json(_ record: MediaRecord) -> JSONValue {
        var fields: [String: JSONValue] = [
            "content_uri": .string("mxc://\(record.origin)/\(record.mediaID)"), "created_ts": .integer(record.created),
            "last_used_ts": .integer(record.lastUsed),
        ]
        fields["user_id"] = record.uploader.map { .string($0) }
        fields["content_type"] = record.contentType.map { .string($0) }
        fields["file_name"] = record.fileName.map { .string($0) }
        fields["length"] = record.length.map { .integer($0) }
        fields["sha256"] = record.contentHash.map { .string($0) }
        fields["quarantined_ts"] = record.quarantined.map { .integer($0) }
        fields["expires_ts"] = record.expires.map { .integer($0) }
        return .object(fields)
    }
}

extension Route {
    static let adminListMedia = Route("adminListMedia", .get, "/_fedchat/admin/v1/media", .accessToken)
    static let adminDeleteMedia = Route(
        "adminDeleteMedia", .delete, "/_fedchat/admin/v1/media/{serverName}/{mediaId}", .accessToken)
    static let adminQuarantineMedia = Route(
        "adminQuarantineMedia", .put, "/_fedchat/admin/v1/media/{serverName}/{mediaId}/quarantine", .accessToken)
    static let adminReleaseMedia = Route(
        "adminReleaseMedia", .delete, "/_fedchat/admin/v1/media/{serverName}/{mediaId}/quarantine", .accessToken)
    static let adminQuarantineUserMedia = Route(
        "adminQuarantineUserMedia", .put, "/_fedchat/admin/v1/users/{userId}/media/quarantine", .accessToken)
    static let adminQuarantineRoomMedia = Route(
        "adminQuarantineRoomMedia", .put, "/_fedchat/admin/v1/rooms/{roomId}/media/quarantine", .accessToken)
    static let adminPurgeRemoteMedia = Route(
        "adminPurgeRemoteMedia", .post, "/_fedchat/admin/v1/media/purge_remote", .accessToken)
}
