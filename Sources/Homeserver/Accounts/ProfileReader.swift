internal import HomeserverStorage
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// Reads profiles: our users' from the database, others' from their servers.
public struct ProfileReader: Sendable {
    let environment: Environment
    let remote: (any RemoteProfiles)?

    public init(environment: Environment, remote: (any RemoteProfiles)? = nil) {
        self.environment = environment
        self.remote = remote
    }

    /// The profile of any user as an object, or one field of it as an object of one key. Throws `M_NOT_FOUND`.
    public func profile(of user: UserID, field: String?) async throws -> JSONValue {
        if environment.isLocal(user) { return try await localProfile(of: user, field: field) }
        guard let remote else { throw MatrixError(.notFound, "The profile cannot be looked up") }
        return try await remote.profile(of: user, field: field)
    }

    /// As above, for a user of this server: what other servers are told. Throws `M_NOT_FOUND`.
    public func localProfile(of user: UserID, field: String?) async throws -> JSONValue {
        let fields: [(field: String, json: String)]? = try await environment.database.read { connection in
            guard let account = try AccountStore(connection).account(user), !account.isErased else { return nil }
            let store = ProfileStore(connection)
            guard let field else { return try store.fields(of: user) }
            return try store.field(field, of: user).map { [(field, $0)] } ?? []
        }
        guard let fields else { throw MatrixError(.notFound, "No such user") }
        if field != nil, fields.isEmpty { throw MatrixError(.notFound, "No such field") }
        var object: [String: JSONValue] = [:]
        for entry in fields { object[entry.field] = (try? JSONValue.parse(Array(entry.json.utf8))) ?? .null }
        return .object(object)
    }
}
