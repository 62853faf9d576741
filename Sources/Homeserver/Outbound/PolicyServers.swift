internal import Federation
internal import MatrixAPI
internal import MatrixModel

/// Asks rooms' policy servers for their signatures; this server itself, where a room names it.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#asking-for-a-policy-server-signature-on-an-event>
struct PolicyServers: PolicySigning {
    private static let maximumBytes = 64 << 10
    /// Statuses of an answer that means the event. Others mean the server, or us.
    private static let refusals: Set<Int> = [400, 403, 429]

    let client: FederationClient
    let timeout: Duration
    let serverName: ServerName
    /// This server as a policy server, which is not asked over the network; nil where it is none.
    let own: OwnPolicyServer?

    func sign(_ event: PDU, by policy: RoomPolicy) async throws(MatrixError) -> PDU {
        let signature =
            policy.server == serverName
            ? try await ownSignature(of: event) : try await signature(of: event, by: policy.server)
        let signed: PDU
        do {
            signed = try event.adding(signature: signature, of: policy.server, keyID: RoomPolicy.keyID)
        } catch { throw MatrixError(error) }
        guard policy.recommends(signed) else {
            throw MatrixError(.forbidden, "The room's policy server signed with another key than the room names")
        }
        return signed
    }

    private func ownSignature(of event: PDU) async throws(MatrixError) -> String {
        guard let own else {
            throw MatrixError(.forbidden, "The room names this server its policy server, which it is not")
        }
        do { return try await own.signature(of: event) } catch { throw error as? MatrixError ?? .unknown }
    }

    private func signature(of event: PDU, by server: ServerName) async throws(MatrixError) -> String {
        var call = APICall(.askPolicyServerToSign)
        call.body = event.canonicalJSON
        let answer: JSONView
        do {
            answer = try await client.json(
                call, at: server, timeout: timeout, maximumBytes: Self.maximumBytes)
        } catch {
            // Spec: the client is told what the policy server says.
            if case .refused(let status, let refusal?) = error, Self.refusals.contains(status) { throw refusal }
            throw MatrixError(.unknown, "The room's policy server could not be asked", status: 502)
        }
        // What others signed stays: the policy server answers with its own signature alone.
        guard let signature = answer[server.text]?[RoomPolicy.keyID]?.string, signature.utf8.count <= 128 else {
            throw MatrixError(.forbidden, "The room's policy server did not sign the event")
        }
        return signature
    }
}
