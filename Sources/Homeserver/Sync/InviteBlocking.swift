internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// Whether a user takes invites. Who does not is shown none, also of those that are there already.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#invite-permission>
enum InviteBlocking {
    /// The type of the account data that says so.
    static let type = "m.invite_permission_config"

    /// Whether the user's account data says that invites are blocked.
    /// - Throws: `DatabaseError`.
    static func isOn(for user: UserID, _ sealer: StorageSealer, _ connection: any SQLConnection) throws -> Bool {
        guard let content = try AccountDataStore(connection, sealer).content(type, of: user),
            let document = try? JSONDocument(content)
        else { return false }
        return document.root["default_action"]?.string == "block"
    }
}
