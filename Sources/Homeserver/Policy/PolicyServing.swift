internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Answers other servers that want events of rooms signed whose policy server this one is.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixpolicyv1sign>
struct PolicyServing: RouteGroup {
    let environment: Environment
    let reader: RoomReader
    let verification: PDUVerification
    /// nil where this server is none: then it does not know the endpoint.
    let own: OwnPolicyServer?

    func register(on router: inout Router) {
        guard let own else { return }
        router.onServer(.askPolicyServerToSign) { request, origin in
            let signature = try await own.signature(of: try await event(request, origin))
            return .json(.object([own.name.text: .object([RoomPolicy.keyID: .string(signature)])]))
        }
    }

    /// The event that is to be judged, once it is of a room of this policy server's and rightly signed.
    private func event(_ request: APIRequest, _ origin: ServerName) async throws -> PDU {
        guard !request.bodyBytes.isEmpty else { throw MatrixError(.notJSON, "The body is empty") }
        guard let text = request.body["room_id"]?.string, let id = try? RoomID(text) else {
            throw MatrixError(.badJSON, "The event names no room")
        }
        guard let room = try await reader.record(id),
            try await reader.policy(of: room)?.server == environment.serverName
        else { throw MatrixError(.notFound, "The room is not known here, or has another policy server, or none") }
        guard try await reader.allows(origin, in: room) else {
            throw MatrixError(.forbidden, "The room's access list forbids this server")
        }
        let event: PDU
        do { event = try PDU(parsing: request.body, version: room.version) } catch {
            throw MatrixError(.badJSON, MatrixError(error).message)
        }
        guard event.roomID == room.id else { throw MatrixError(.badJSON, "The event is of another room") }
        // Spec: "This endpoint MUST NOT be called for events which have a type of m.room.policy and an empty string state_key."
        guard RoomPolicy.covers(event.type, stateKey: event.stateKey) else {
            throw OwnPolicyServer.refused("The event that names the policy server is not for it to sign")
        }
        do { return try await verification.verified(event).pdu } catch {
            throw OwnPolicyServer.refused("The event is not acceptable: \(error.reason)")
        }
    }
}
