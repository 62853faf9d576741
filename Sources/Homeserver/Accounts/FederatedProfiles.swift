public import Federation
public import MatrixAPI
public import MatrixModel

/// Asks other servers for the profiles of their users.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile>
public struct FederatedProfiles: RemoteProfiles {
    let client: FederationClient
    let timeout: Duration

    public init(client: FederationClient, timeout: Duration) {
        self.client = client
        self.timeout = timeout
    }

    public func profile(of user: UserID, field: String?) async throws(MatrixError) -> JSONValue {
        var query = [("user_id", user.text)]
        if let field { query.append(("field", field)) }
        let answer: JSONView
        do throws(FederationError) {
            answer = try await client.json(
                APICall(.queryProfile, query: query), at: user.serverName, timeout: timeout,
                maximumBytes: AuthenticationLimits.profileAnswerBytes)
        } catch {
            if case .refused(404, _) = error {
                throw MatrixError(.notFound, "The user's server knows no such profile")
            }
            if case .refused(403, _) = error {
                throw MatrixError(.forbidden, "The user's server does not tell profiles")
            }
            throw MatrixError(.unknown, "The user's server could not be asked", status: 502)
        }
        guard let field else { return answer.value }
        guard let value = answer[field] else { throw MatrixError(.notFound, "No such field") }
        return .object([field: value.value])
    }
}
