internal import HomeserverStorage
public import MatrixAPI
public import MatrixModel
internal import MatrixRooms

/// Gets events signed by policy servers.
public protocol PolicySigning: Sendable {
    /// The event with the signature of the room's policy server beside those it has.
    /// - Throws: what the policy server says; `M_FORBIDDEN` when it did not sign, `M_UNKNOWN` when it cannot be asked.
    func sign(_ event: PDU, by policy: RoomPolicy) async throws(MatrixError) -> PDU
}

extension RoomReader {
    /// The policy server that a room uses: the one that its current state names, while one of that server's users is joined.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#determining-if-a-policy-server-is-enabled-in-a-room>
    func policy(of room: RoomRecord) async throws -> RoomPolicy? {
        guard let policy = RoomPolicy(try await stateEvent(room, .policy)?.pdu),
            try await joinedServers(room).contains(policy.server)
        else { return nil }
        return policy
    }
}

extension RoomWriter {
    /// An event as it may be sent: with the policy server's signature, where the room has one and the event lacks it.
    /// - Throws: the policy server's refusal.
    func recommended(_ event: PDU, by policy: RoomPolicy?) async throws(MatrixError) -> PDU {
        guard let policy, RoomPolicy.covers(event.type, stateKey: event.stateKey), !policy.recommends(event) else {
            return event
        }
        guard let policyServers else {
            throw MatrixError(.forbidden, "This server does not speak to the room's policy server")
        }
        return try await policyServers.sign(event, by: policy)
    }

    /// Gets the events of a chain signed, many at once. Those refused are settled; then the others, which follow them, must
    /// be built anew.
    /// - Returns: whether all were signed.
    func sign(_ chain: inout Chain, by policy: RoomPolicy) async -> Bool {
        let events = chain.planned.map(\.event.pdu)
        let answers = await withTaskGroup(of: (Int, Result<PDU, MatrixError>).self) { group in
            for (index, event) in events.enumerated() {
                group.addTask {
                    do throws(MatrixError) { return (index, .success(try await recommended(event, by: policy))) } catch
                    {
                        return (index, .failure(error))
                    }
                }
            }
            return await group.reduce(into: [Int: Result<PDU, MatrixError>]()) { $0[$1.0] = $1.1 }
        }
        var isWhole = true
        for index in chain.planned.indices {
            switch answers[index] {
            case .success(let signed):
                let event = chain.planned[index].event
                chain.planned[index].event = StoredEvent(
                    nid: event.nid, pdu: signed, roomNID: event.roomNID, position: nil, flags: event.flags,
                    stateAfter: nil, replaces: event.replaces, senderDevice: event.senderDevice,
                    transactionID: event.transactionID)
            case .failure(let error):
                chain.settled[chain.planned[index].job] = .failure(error)
                isWhole = false
            case nil: isWhole = false
            }
        }
        return isWhole
    }
}
