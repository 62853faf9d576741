internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Takes transactions of other servers in: signatures are checked, events staged, and the answer given; judging follows.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid>
struct TransactionReceiving: RouteGroup {
    static let maximumPDUs = 50
    static let maximumEDUs = 100
    /// Events that wait in one room of a server that has nobody there, as far as is known here. There are honest ones: who
    /// has come by another resident, or its removal has not come yet.
    static let stagedOfStrangers = 50
    /// How often it is looked whether a join has ended.
    private static let joinPoll = Duration.milliseconds(200)

    let environment: Environment
    let reader: RoomReader
    let verification: PDUVerification
    let staged: StagedEvents
    let edus: EDUIntake
    private let held = HeldOrigins()

    func register(on router: inout Router) {
        router.onServer(.sendTransaction.taking(.json(maximumBytes: APILimits.transactionBytes))) { request, origin in
            try await receive(request, from: origin)
        }
    }

    private enum Result: Sendable {
        case taken(VerifiedPDU)
        case refused(String)
        /// We are not in its room anymore.
        case ignored
    }

    private func receive(_ request: APIRequest, from origin: ServerName) async throws -> APIResponse {
        let transaction = request.parameter("txnId")
        guard transaction.utf8.count <= 255 else {
            throw MatrixError(.invalidParameter, "The transaction id is too long")
        }
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
        // EDUs first: keys are there before what they open, and if this server ends here, the transaction comes again.
        for edu in edus { try await take(edu, from: origin) }
        try await waitForJoins(of: pdus, from: origin)
        let places = try await places(for: pdus, from: origin)
        let (taken, results) = try await check(pdus, places)
        let now = environment.clock.now()
        let residence = Set(places.filter(\.isResident).compactMap(\.record?.id))
        let rows = taken.map {
            (
                room: $0.roomID.text, event: $0.id.text, body: $0.canonicalJSON,
                isOwn: $0.sender.serverName == origin, isResident: residence.contains($0.roomID)
            )
        }
        let rooms = Set(rows.map(\.room))
        let sealer = environment.sealer
        let saved = try await environment.database.groupedWrite { connection in
            let staging = InboundStaging(connection)
            for row in rows {
                try staging.stage(
                    origin: origin.text, roomID: row.room, eventID: row.event, body: row.body, isOwn: row.isOwn,
                    isResident: row.isResident, now: now, sealer: sealer)
            }
            var results = results
            for room in rooms.sorted() {
                for id in try staging.trim(room: room, to: limits.stagedPerRoom) where results[id] != nil {
                    results[id] = ["error": "Too many events of the room wait"]
                }
            }
            let answer = JSONValue.object(["pdus": .object(results)]).serialized()
            return try staging.save(answer: answer, origin: origin.text, transactionID: transaction, now: now)
        }
        for room in rooms { staged.notify(room) }
        return .json(bytes: saved)
    }

    /// Waits while users of ours are joining rooms of the PDUs, a while at most: of what is said there before their state has
    /// come nothing could be told, and who sent it would not send it again. One transaction of a server waits at a time.
    private func waitForJoins(of pdus: [JSONView], from origin: ServerName) async throws {
        let rooms = Array(Set(pdus.compactMap { $0["room_id"]?.string }))
        let end = environment.clock.monotonic() + .milliseconds(environment.configuration.timeouts.joinHeld)
        guard !rooms.isEmpty, try await isJoining(rooms), held.enter(origin) else { return }
        defer { held.leave(origin) }
        repeat {
            try await environment.clock.sleep(for: Self.joinPoll)
        } while try await isJoining(rooms) && environment.clock.monotonic() < end
    }

    private func isJoining(_ rooms: [String]) async throws -> Bool {
        let now = environment.clock.now()
        return try await environment.database.read { try JoiningRooms($0).contains(anyOf: rooms, now: now) }
    }

    /// Whether each PDU of a transaction finds a place among what waits of its server in its room, so that what cannot be judged
    /// in one room neither keeps other servers out of it nor its own server out of others.
    private func places(for pdus: [JSONView], from origin: ServerName) async throws -> [Place] {
        let limit = environment.configuration.limits.stagedPerOriginInRoom
        let rooms = pdus.map { $0["room_id"]?.string }
        let names = Array(Set(rooms.compactMap { $0 }))
        let shares = try await environment.database.read { try InboundStaging($0).shares(of: origin.text, in: names) }
        var places: [String: Place] = [:]
        var left: [String: Int] = [:]
        for name in names {
            let share = shares[name] ?? .init()
            left[name] = min(limit, Self.stagedOfStrangers) - share.held - share.fresh
            guard let id = try? RoomID(name), let record = try await reader.record(id) else { continue }
            let servers = try await reader.joinedServers(record)
            let isResident = servers.contains(origin)
            if isResident { left[name] = limit - share.held }
            guard servers.contains(environment.serverName) else { continue }
            places[name] = Place(
                record: record, isResident: isResident, isAllowed: try await reader.allows(origin, in: record),
                fits: true)
        }
        return rooms.map { room in
            guard let room, var place = places[room] else { return Place() }
            place.fits = left[room, default: 0] > 0
            left[room, default: 0] -= 1
            return place
        }
    }

    /// What a PDU comes to, read once for all of a transaction.
    private struct Place: Sendable {
        /// The room, where users of ours are in it.
        var record: RoomRecord?
        /// Whether the server has a user in it.
        var isResident = false
        /// Whether the room's access list lets the server in.
        var isAllowed = false
        var fits = false
    }

    /// Takes an EDU in. A bad one concerns itself alone; but if the database is out of order, all must come again.
    private func take(_ edu: JSONView, from origin: ServerName) async throws {
        do {
            try await edus.take(edu, from: origin)
        } catch let error as DatabaseError where [.busy, .unavailable, .full].contains(error.kind) {
            throw error
        } catch {
            environment.logger.info("EDU dropped", metadata: ["origin": "\(origin)", "cause": "\(error)"])
        }
    }

    /// Checks PDUs, several at once, since keys may have to be fetched. The good ones are in their order.
    private func check(
        _ pdus: [JSONView], _ places: [Place]
    ) async throws -> (taken: [VerifiedPDU], results: [String: JSONValue]) {
        let checked = try await withThrowingTaskGroup(of: (Int, EventID?, Result).self) { group in
            for (index, (view, place)) in zip(pdus, places).enumerated() {
                group.addTask {
                    let (id, result) = try await check(view, place)
                    return (index, id, result)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }
        }
        var results: [String: JSONValue] = [:]
        var taken: [VerifiedPDU] = []
        for (_, id, result) in checked {
            guard let id else { continue }
            switch result {
            case .taken(let pdu):
                taken.append(pdu)
                results[id.text] = [:]
            case .ignored: results[id.text] = [:]
            case .refused(let reason): results[id.text] = ["error": .string(reason)]
            }
        }
        return (taken, results)
    }

    /// Format, size, access list, place and signatures.
    private func check(_ view: JSONView, _ place: Place) async throws -> (EventID?, Result) {
        guard let room = view["room_id"]?.string.flatMap({ try? RoomID($0) }) else { return (nil, .ignored) }
        guard let record = place.record else { return try await withdrawInvite(view, room) }
        let pdu: PDU
        do { pdu = try PDU(parsing: view, version: record.version) } catch {
            return (view["event_id"]?.string.flatMap { try? EventID($0) }, .refused(error.rule))
        }
        guard place.isAllowed else {
            return (pdu.id, .refused("The room's access list forbids this server"))
        }
        guard place.fits else { return (pdu.id, .refused("Too many events of this server wait in the room")) }
        do { return (pdu.id, .taken(try await verification.verified(pdu))) } catch {
            return (pdu.id, .refused(error.reason))
        }
    }

    /// In a room that we are not in, all that concerns us is that an invite or a knock of a user of ours was taken back.
    private func withdrawInvite(_ view: JSONView, _ room: RoomID) async throws -> (EventID?, Result) {
        // Without the room's version, the id cannot be told.
        let unread = (view["event_id"]?.string.flatMap { try? EventID($0) }, Result.ignored)
        let sealer = environment.sealer
        guard view["type"]?.string == EventType.member.text,
            let user = view["state_key"]?.string.flatMap({ try? UserID($0) }),
            environment.isLocal(user),
            let invite = try await environment.database.read({
                try RoomStore($0).invite(of: user, to: room, sealer: sealer)
            })
        else { return unread }
        guard let pdu = try? PDU(parsing: view, version: invite.version) else { return unread }
        let membership = try? RoomMember(pdu).membership
        // Without the room's state its power levels are not known: only those who invited may take it back, or for a knock,
        // whoever is of the room's server.
        let inviter = invite.membership == .invite ? invite.sender.serverName : room.serverName
        guard membership == .leave || membership == .ban, pdu.sender.serverName == inviter || inviter == nil,
            (try? await verification.verified(pdu)) != nil
        else { return (pdu.id, .ignored) }
        try await environment.database.write { connection in
            _ = try RoomStore(connection).removeInvite(of: user, to: room)
        }
        return (pdu.id, .ignored)
    }
}

/// The servers of which a transaction waits for a join.
private final class HeldOrigins: Sendable {
    private static let maximum = 200
    private let names = Mutex<Set<ServerName>>([])

    /// Whether a transaction of the server may wait. ``leave(_:)`` follows where it may.
    func enter(_ name: ServerName) -> Bool {
        names.withLock { $0.count < Self.maximum && $0.insert(name).inserted }
    }

    func leave(_ name: ServerName) { names.withLock { _ = $0.remove(name) } }
}
