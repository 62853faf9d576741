internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Profiles. Spec: <https://spec.matrix.org/v1.19/client-server-api/#profiles>
struct ProfileEditing: RouteGroup {
    let reader: ProfileReader
    let propagation: (any ProfilePropagating)?

    private var environment: Environment { reader.environment }

    func register(on router: inout Router) {
        router.onPublic(.getUserProfile) { request in
            .json(try await reader.profile(of: request.userID(), field: nil))
        }
        router.onPublic(.getProfileField) { request in
            .json(try await reader.profile(of: request.userID(), field: Self.field(request)))
        }
        router.onServer(.queryProfile) { request, _ in
            let user = try request.userID("user_id")
            guard environment.isLocal(user) else {
                throw MatrixError(.invalidParameter, "This user is of another server")
            }
            return .json(try await reader.localProfile(of: user, field: request.query("field")))
        }
        router.on(.setProfileField, setField)
        router.on(.deleteProfileField, deleteField)
    }

    @Sendable private func setField(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let (user, field) = try target(request, requester)
        guard let value = request.body[field] else { throw MatrixError(.missingParameter, "Missing \(field)") }
        if Self.isDisplayed(field), value.isNull || value.string == "" {
            return try await deleteField(request, requester)
        }
        try Self.check(field, value)
        let json = String(decoding: value.rawBytes, as: UTF8.self)
        let search = field == "displayname" ? value.string?.replacing("\0", with: "").lowercased() : nil
        try await environment.database.write { connection in
            guard try ProfileStore(connection).set(field, json: json, search: search, of: user) else {
                throw MatrixError(.profileTooLarge, "The profile would be larger than 64 KiB")
            }
        }
        if Self.isDisplayed(field) { try await propagate(user) }
        return .empty
    }

    @Sendable private func deleteField(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let (user, field) = try target(request, requester)
        let existed = try await environment.database.write { connection in
            try ProfileStore(connection).delete(field, of: user)
        }
        if existed, Self.isDisplayed(field) { try await propagate(user) }
        return .empty
    }

    private func target(_ request: APIRequest, _ requester: Requester) throws(MatrixError) -> (UserID, String) {
        let user = try request.userID()
        let field = try Self.field(request)
        guard user == requester.user else { throw MatrixError(.forbidden, "This is not your profile") }
        if requester.isGuest, field != "displayname" {
            throw MatrixError(.guestAccessForbidden, "Guests may change their display name only")
        }
        guard environment.configuration.profiles.mayChange(field) else {
            throw MatrixError(.forbidden, "\(field) may not be changed here")
        }
        return (user, field)
    }

    private func propagate(_ user: UserID) async throws {
        guard let propagation else { return }
        let shown = try await environment.database.read { try ProfileStore($0).displayed(user) }
        await propagation.profileChanged(of: user, displayname: shown.displayname, avatarURL: shown.avatarURL)
    }

    private static func isDisplayed(_ field: String) -> Bool { field == "displayname" || field == "avatar_url" }

    /// The field of the path, by the common namespaced identifier grammar.
    private static func field(_ request: APIRequest) throws(MatrixError) -> String {
        let field = request.parameter("keyName")
        guard field.utf8.count <= AccountLimits.nameBytes else {
            throw MatrixError(.keyTooLarge, "The field's name is longer than 255 bytes")
        }
        let isGrammatical = field.utf8.allSatisfy { byte in
            switch byte {
            case 0x61...0x7A, 0x30...0x39, 0x2E, 0x5F, 0x2D: true
            default: false
            }
        }
        guard isGrammatical, let first = field.utf8.first, (0x61...0x7A).contains(first) else {
            throw MatrixError(.invalidParameter, "The field's name is not valid")
        }
        return field
    }

    private static func check(_ field: String, _ value: JSONView) throws(MatrixError) {
        switch field {
        case "displayname":
            guard let name = value.string else { throw MatrixError(.badJSON, "displayname is not a string") }
            guard name.utf8.count <= AuthenticationLimits.displayNameBytes else {
                throw MatrixError(.invalidParameter, "displayname is too long")
            }
        case "avatar_url":
            guard let address = value.string else { throw MatrixError(.badJSON, "avatar_url is not a string") }
            guard (try? MXCURI(address)) != nil else {
                throw MatrixError(.invalidParameter, "avatar_url is no MXC URI")
            }
        case "m.tz":
            guard let zone = value.string, zone.utf8.count <= AccountLimits.nameBytes else {
                throw MatrixError(.badJSON, "m.tz is not a string, or too long")
            }
        default: break
        }
    }
}
