internal import HTTPMessages
internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Keeps the room keys that clients encrypt and back up.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups>
struct KeyBackup: RouteGroup {
    let environment: Environment

    func register(on router: inout Router) {
        router.on(.postRoomKeysVersion, create)
        router.on(.getRoomKeysVersionCurrent, tell)
        router.on(.getRoomKeysVersion, tell)
        router.on(.putRoomKeysVersion, update)
        router.on(.deleteRoomKeysVersion, remove)
        router.on(.putRoomKeys, add)
        router.on(.putRoomKeysByRoomId, add)
        router.on(.putRoomKeyBySessionId, add)
        router.on(.getRoomKeys, read)
        router.on(.getRoomKeysByRoomId, read)
        router.on(.getRoomKeyBySessionId, readOne)
        router.on(.deleteRoomKeys, removeKeys)
        router.on(.deleteRoomKeysByRoomId, removeKeys)
        router.on(.deleteRoomKeyBySessionId, removeKeys)
    }

    // MARK: Versions

    @Sendable private func create(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let algorithm = try request.string("algorithm")
        guard DeviceLimits.isName(algorithm) else { throw MatrixError(.invalidParameter, "algorithm is too long") }
        let authData = try authData(request)
        let version = try await environment.database.write { connection in
            try KeyBackupStore(connection).create(
                of: requester.user, algorithm: algorithm, authData: authData,
                limit: environment.configuration.limits.keyBackupsPerUser)
        }
        return .json(["version": .string(String(version))])
    }

    @Sendable private func tell(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let version: Int64? = request.parameters["version"] == nil ? nil : try number(request.parameter("version"))
        let backup = try await environment.database.read { connection in
            try KeyBackupStore(connection).backup(of: requester.user, version: version)
        }
        guard let backup else { throw Self.noBackup }
        return .json { writer in
            writer.beginObject()
            writer.key("algorithm")
            writer.string(backup.algorithm)
            writer.key("auth_data")
            writer.raw(backup.authData)
            writer.key("version")
            writer.string(String(backup.version))
            Self.writeSummary(backup, into: &writer)
            writer.endObject()
        }
    }

    @Sendable private func update(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let version = try number(request.parameter("version"))
        let algorithm = try request.string("algorithm")
        if let inBody = try request.optionalString("version"), inBody != String(version) {
            throw MatrixError(.invalidParameter, "The body names another version")
        }
        let authData = try authData(request)
        try await environment.database.write { connection in
            let store = KeyBackupStore(connection)
            guard let backup = try store.backup(of: requester.user, version: version) else { throw Self.noBackup }
            guard backup.algorithm == algorithm else {
                throw MatrixError(.invalidParameter, "The algorithm of a backup cannot change")
            }
            _ = try store.update(authData, of: requester.user, version: version)
        }
        return .empty
    }

    @Sendable private func remove(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let version = try number(request.parameter("version"))
        let known = try await environment.database.write { connection in
            try KeyBackupStore(connection).delete(of: requester.user, version: version)
        }
        guard known else { throw Self.noBackup }
        return .empty
    }

    // MARK: Keys

    @Sendable private func add(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let version = try number(named(request))
        let keys = try keys(request)
        let backup = try await environment.database.write { connection -> KeyBackupStore.Backup in
            let store = KeyBackupStore(connection)
            guard let current = try store.backup(of: requester.user) else { throw Self.noBackup }
            guard current.version == version else {
                throw MatrixError(
                    .wrongRoomKeysVersion, "Keys go into the newest backup only",
                    fields: ["current_version": .string(String(current.version))])
            }
            let backup = try store.add(
                keys, of: requester.user, version: version, limit: environment.configuration.limits.keysPerBackup)
            guard let backup else {
                throw MatrixError(
                    .tooLarge, "A backup holds at most \(environment.configuration.limits.keysPerBackup) keys")
            }
            return backup
        }
        return Self.summary(backup)
    }

    @Sendable private func read(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let version = try number(named(request))
        let scope = scope(request)
        let backup = try await environment.database.read { connection in
            try KeyBackupStore(connection).backup(of: requester.user, version: version)
        }
        guard backup != nil else { throw Self.noBackup }
        let pages = KeyBackupPages(
            database: environment.database, user: requester.user, version: version, scope: scope)
        return APIResponse(
            headers: [.contentType: "application/json"],
            body: HTTPBody(length: nil) { () async throws(HTTPBodyError) in try await pages.next() })
    }

    @Sendable private func readOne(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let version = try number(named(request))
        let scope = scope(request)
        let key = try await environment.database.read { connection in
            try KeyBackupStore(connection).keys(scope, of: requester.user, version: version, limit: 1).first
        }
        guard let key else { throw MatrixError(.notFound, "No such key or backup") }
        return .json { Self.write(key, into: &$0) }
    }

    @Sendable private func removeKeys(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let version = try number(named(request))
        let scope = scope(request)
        let backup = try await environment.database.write { connection in
            try KeyBackupStore(connection).delete(scope, of: requester.user, version: version)
        }
        guard let backup else { throw Self.noBackup }
        return Self.summary(backup)
    }

    // MARK: Reading requests

    private func authData(_ request: APIRequest) throws(MatrixError) -> [UInt8] {
        try canonical(request.object("auth_data"), "auth_data", limit: DeviceLimits.backupAuthDataBytes)
    }

    private func canonical(_ view: JSONView, _ name: String, limit: Int) throws(MatrixError) -> [UInt8] {
        guard view.rawBytes.count <= limit else { throw MatrixError(.tooLarge, "\(name) is too large") }
        do { return try CanonicalJSON.encode(view, strict: false) } catch {
            throw MatrixError(.badJSON, "\(name) has no canonical form")
        }
    }

    private func named(_ request: APIRequest) throws(MatrixError) -> String {
        guard let version = request.query("version") else {
            throw MatrixError(.missingParameter, "Missing parameter version")
        }
        return version
    }

    /// A version, which we give out as a number; what is none was never given out.
    private func number(_ text: String) throws(MatrixError) -> Int64 {
        guard let number = Int64(text), String(number) == text else { throw Self.noBackup }
        return number
    }

    private func scope(_ request: APIRequest) -> KeyBackupStore.Scope {
        .init(roomID: request.parameters["roomId"], sessionID: request.parameters["sessionId"])
    }

    /// The keys of an upload, whose shape depends on how much of the path is given.
    private func keys(_ request: APIRequest) throws(MatrixError) -> [KeyBackupStore.Key] {
        let scope = scope(request)
        if let room = scope.roomID, let session = scope.sessionID {
            return [try key(request.body, room: room, session: session)]
        }
        if let room = scope.roomID { return try keys(request.object("sessions"), room: room) }
        var found: [KeyBackupStore.Key] = []
        for (room, value) in try request.object("rooms").members {
            guard let sessions = value["sessions"], sessions.isObject else {
                throw MatrixError(.badJSON, "A room has no sessions")
            }
            found += try keys(sessions, room: room)
        }
        return found
    }

    private func keys(_ sessions: JSONView, room: String) throws(MatrixError) -> [KeyBackupStore.Key] {
        var found: [KeyBackupStore.Key] = []
        for (session, value) in sessions.members { found.append(try key(value, room: room, session: session)) }
        return found
    }

    private func key(_ value: JSONView, room: String, session: String) throws(MatrixError) -> KeyBackupStore.Key {
        guard DeviceLimits.isName(room), DeviceLimits.isName(session) else {
            throw MatrixError(.invalidParameter, "The name of a room or session is too long")
        }
        guard let index = value["first_message_index"]?.integer, index >= 0,
            let forwarded = value["forwarded_count"]?.integer, forwarded >= 0,
            let verified = value["is_verified"]?.bool, let data = value["session_data"], data.isObject
        else {
            throw MatrixError(
                .badJSON, "A key needs first_message_index, forwarded_count, is_verified and session_data")
        }
        return KeyBackupStore.Key(
            roomID: room, sessionID: session, firstMessageIndex: index, forwardedCount: forwarded,
            isVerified: verified,
            sessionData: try canonical(data, "session_data", limit: DeviceLimits.keyBytes))
    }

    // MARK: Writing answers

    private static let noBackup = MatrixError(.notFound, "No such backup")

    private static func summary(_ backup: KeyBackupStore.Backup) -> APIResponse {
        .json { writer in
            writer.beginObject()
            writeSummary(backup, into: &writer)
            writer.endObject()
        }
    }

    private static func writeSummary(_ backup: KeyBackupStore.Backup, into writer: inout JSONWriter) {
        writer.key("etag")
        writer.string(String(backup.etag))
        writer.key("count")
        writer.integer(backup.count)
    }

    static func write(_ key: KeyBackupStore.Key, into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("first_message_index")
        writer.integer(key.firstMessageIndex)
        writer.key("forwarded_count")
        writer.integer(key.forwardedCount)
        writer.key("is_verified")
        writer.bool(key.isVerified)
        writer.key("session_data")
        writer.raw(key.sessionData)
        writer.endObject()
    }
}
