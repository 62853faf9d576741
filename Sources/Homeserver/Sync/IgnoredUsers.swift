internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// The users whose messages a user does not want to see.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#ignoring-users>
enum IgnoredUsers {
    /// Their names, as the user's account data has them.
    /// - Throws: `DatabaseError`.
    static func of(_ user: UserID, _ sealer: StorageSealer, _ connection: any SQLConnection) throws -> Set<String> {
        let type = EventType.ignoredUserList.text
        guard let content = try AccountDataStore(connection, sealer).content(type, of: user),
            let document = try? JSONDocument(content)
        else { return [] }
        var ignored = Set((document.root["ignored_users"]?.members ?? []).map(\.key))
        ignored.remove(user.text)
        return ignored
    }
}
