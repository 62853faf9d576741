internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Takes transactions of other servers in: signatures are checked, events staged, and the answer given; judging follows.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid>
struct TransactionReceiving: RouteGroup {
    static let maximumPDUs = 50
    static let maximumEDUs = 100
    /// Answers are kept so long, milliseconds.
    static let answersKept: Int64 = 24 * 3_600_000

    let environment: Environment
    let reader: RoomReader
    let verification: PDUVerification
    let staged: StagedEvents
    let edus: EDUIntake

    func register(on router: inout Router) {
        router.onServer(.sendTransaction.taking(.json(maximumBytes: APILimits.transactionBytes))) { request, origin in
            try await receive(request, from: origin)
        }
    }

    private enum Result: Sendable {
        case taken(PDU)
        case refused(String)
        /// We are not in its room anymore.
        case ignored
    }

    private func receive(_ request: APIRequest, from origin: ServerName) async throws -> APIResponse {
        let transaction = request.parameter("txnId")
        guard transaction.utf8.count <= 255 else { throw MatrixError(.invalidParameter, "The transaction id is too long") }
        let limits = environment.configuration.limits
        let (earlier, waiting) = try await environment.database.read { connection in
            let staging = InboundStaging(connection)
            return (
                try staging.answer(origin: origin.text, transactionID: transaction),
                try staging.count(from: origin.text, upTo: limits.stagedPerOrigin)
            )
        }
        if let earlier { return .json(bytes: earlier) }
        guard waiting < limits.stagedPerOrigin else { throw MatrixError.limitExceeded(retryAfterMilliseconds: 5_000) }
        let pdus = try request.optionalArray("pdus") ?? []
        let edus = try request.optionalArray("edus") ?? []
        guard pdus.count <= Self.maximumPDUs, edus.count <= Self.maximumEDUs else {
            throw MatrixError(.tooLarge, "At most \(Self.maximumPDUs) PDUs and \(Self.maximumEDUs) EDUs", status: 400)
        }

        var results: [String: JSONValue] = [:]
        var taken: [PDU] = []
        for view in pdus {
            let (id, result) = try await check(view, from: origin)
            guard let id else { continue }
            switch result {
            case .taken(let pdu):
                taken.append(pdu)
                results[id.text] = [:]
            case .ignored: results[id.text] = [:]
            case .refused(let reason): results[id.text] = ["error": .string(reason)]
            }
        }
        let answer = JSONValue.object(["pdus": .object(results)]).serialized()
        let now = environment.clock.now()
        let rows = taken.map { (room: $0.roomID.text, event: $0.id.text, body: $0.canonicalJSON) }
        try await environment.database.groupedWrite { connection in
            let staging = InboundStaging(connection)
            for row in rows {
                try staging.stage(
                    origin: origin.text, roomID: row.room, eventID: row.event, body: row.body, now: now)
            }
            try staging.save(answer: answer, origin: origin.text, transactionID: transaction, now: now)
        }
        for room in Set(rows.map(\.room)) { staged.notify(room) }
        for edu in edus {
            // One bad EDU concerns itself alone.
            do { try await self.edus.take(edu, from: origin) } catch {
                environment.logger.info("EDU dropped", metadata: ["origin": "\(origin)", "cause": "\(error)"])
            }
        }
        return .json(bytes: answer)
    }

    /// Format, size, access list and signatures.
    private func check(_ view: JSONView, from origin: ServerName) async throws -> (EventID?, Result) {
        guard let room = try Self.roomID(view) else { return (nil, .ignored) }
        guard let record = try await reader.record(room) else {
            // Without the room's version, the id cannot be told.
            return (view["event_id"]?.string.flatMap { try? EventID($0) }, .ignored)
        }
        let pdu: PDU
        do { pdu = try PDU(parsing: view, version: record.version) } catch {
            return (view["event_id"]?.string.flatMap { try? EventID($0) }, .refused(error.rule))
        }
        let servers = try await reader.joinedServers(record)
        guard servers.contains(environment.serverName) else { return (pdu.id, .ignored) }
        guard try await ServerACLCheck(reader: reader).allows(origin, in: record),
            try await ServerACLCheck(reader: reader).allows(pdu.sender.serverName, in: record)
        else { return (pdu.id, .refused("The room's access list forbids this server")) }
        do { return (pdu.id, .taken(try await verification.verified(pdu))) } catch {
            return (pdu.id, .refused(error.reason))
        }
    }

    /// The room of an event that was not parsed yet; of a version 12 create event there is none, and it is not sent alone.
    private static func roomID(_ view: JSONView) throws -> RoomID? {
        view["room_id"]?.string.flatMap { try? RoomID($0) }
    }
}

/// A room's access list. Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomserver_acl>
struct ServerACLCheck: Sendable {
    let reader: RoomReader

    func allows(_ server: ServerName, in room: RoomRecord) async throws -> Bool {
        guard let event = try await reader.stateEvent(room, .serverACL) else { return true }
        return ServerACL(event.pdu.content).allows(server)
    }
}
