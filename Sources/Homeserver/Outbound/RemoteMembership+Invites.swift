internal import Federation
internal import MatrixAPI
internal import MatrixModel

/// Brings invites to the servers of the invited. Spec: <https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room>
extension RemoteMembership: InviteSending {
    func sendInvite(_ event: PDU, state: [PDU]) async throws(MatrixError) -> PDU {
        guard let text = event.stateKey, let invited = try? UserID(text) else {
            throw MatrixError(.badJSON, "The invite names no user")
        }
        let answer: JSONView?
        do {
            answer = try await sendInvite(event, state, to: invited.serverName)
        } catch { throw Self.error(error, invited.serverName) }
        guard let view = answer, let signed = try? PDU(parsing: view, version: event.version, knownID: event.id),
            signed.id == event.id, let keyID = EventSignatures.keyIDs(of: invited.serverName, on: signed).first,
            let signature = signed.signatures?[invited.serverName.text]?[keyID]?.string
        else { throw MatrixError(.unknown, "The invited user's server did not sign the invite", status: 502) }
        let merged: PDU
        do { merged = try event.adding(signature: signature, of: invited.serverName, keyID: keyID) } catch {
            throw MatrixError(error)
        }
        guard (try? await verification.verified(merged)) != nil,
            await verification.isSigned(merged, by: invited.serverName)
        else { throw MatrixError(.unknown, "The invited user's server did not sign the invite", status: 502) }
        return merged
    }

    /// The invite as the other server's answer has it.
    private func sendInvite(
        _ event: PDU, _ state: [PDU], to server: ServerName
    ) async throws(FederationError) -> JSONView? {
        let timeout = Duration.milliseconds(environment.configuration.timeouts.federationRequest)
        let ids = ["roomId": event.roomID.text, "eventId": event.id.text]
        let state = JSONValue.array(state.map { JSONValue($0.document.root) })
        do {
            let body: JSONValue = [
                "room_version": .string(event.version.text), "event": JSONValue(event.document.root),
                "invite_room_state": state,
            ]
            return try await client.json(APICall(.sendInviteV2, ids, body: body), at: server, timeout: timeout)["event"]
        } catch {
            // Old servers know only the first version of the endpoint.
            guard event.version.rules.eventIDIsSent, case .refused(let status, let answer) = error,
                status == 404 || status == 400, answer == nil || answer?.code == .unrecognized
            else { throw error }
        }
        var body = JSONValue(event.document.root)
        body["unsigned"] = ["invite_room_state": state]
        // Its answer is a pair of a status and an object.
        let answer = try await client.json(
            APICall(.sendInviteV1, ids, body: body), at: server, timeout: timeout, kind: .array)
        return answer.elements.last?["event"]
    }
}
