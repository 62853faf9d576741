internal import HomeserverStorage
internal import MatrixAPI
internal import SQLDatabase

extension Environment {
    /// The account of the path, which is in use, for an administrator to act on.
    /// - Throws: `M_FORBIDDEN` to others, `M_INVALID_PARAM` for another server's user, `M_NOT_FOUND`.
    func accountToAdminister(_ request: APIRequest, _ requester: Requester) async throws -> Account {
        guard requester.isAdmin else { throw MatrixError(.forbidden, "Only an administrator may do that") }
        let user = try request.userID()
        guard isLocal(user) else { throw MatrixError(.invalidParameter, "This user is of another server") }
        let account = try await database.read { try AccountStore($0).account(user) }
        guard let account, !account.isDeactivated else { throw MatrixError(.notFound, "No such user") }
        return account
    }
}
