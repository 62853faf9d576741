internal import Federation
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel

/// Fetches events that others refer to and we lack, within limits.
struct MissingEvents: Sendable {
    /// Previous events fetched at once; the spec's default is 10.
    static let prevEventsPerRequest = 50
    /// State events fetched one by one before the whole state is asked for.
    static let stateEventsOneByOne = 200

    /// Single events fetched at once.
    static let width = 8

    let environment: Environment
    let client: FederationClient
    let verification: PDUVerification
    /// Monotonic; afterwards nothing more is asked.
    private var deadline: Duration?

    init(environment: Environment, client: FederationClient, verification: PDUVerification) {
        self.environment = environment
        self.client = client
        self.verification = verification
    }

    /// The same, asking only for so long, and no longer than before: whoever answers slowly holds up no more than that.
    func within(_ time: Duration) -> MissingEvents {
        var limited = self
        let end = environment.clock.monotonic() + time
        limited.deadline = deadline.map { min($0, end) } ?? end
        return limited
    }

    /// Events between what we have and `latest`, without these. Their signatures are good.
    func before(
        _ latest: [EventID], room: RoomID, version: RoomVersion, having known: [EventID], from server: ServerName
    ) async -> [VerifiedPDU] {
        // No min_depth: depths are not to be trusted, and the limit bounds the answer.
        let call = APICall(
            .getMissingPreviousEvents, ["roomId": room.text],
            body: [
                "earliest_events": .array(known.prefix(50).map { .string($0.text) }),
                "latest_events": .array(latest.prefix(20).map { .string($0.text) }),
                "limit": .integer(Int64(Self.prevEventsPerRequest)), "min_depth": 0,
            ])
        guard let answer = await ask(call, server) else { return [] }
        return await verification.verified(
            parse(answer["events"], version, room, limit: Self.prevEventsPerRequest))
    }

    /// The auth chain of an event: what its auth events lead to, whatever else is told. Signatures are good; nothing else was
    /// checked.
    func authChain(of event: PDU, from server: ServerName) async -> [VerifiedPDU] {
        let call = APICall(.getEventAuth, ["roomId": event.roomID.text, "eventId": event.id.text])
        guard let answer = await ask(call, server) else { return [] }
        let told = parse(
            answer["auth_chain"], event.version, event.roomID,
            limit: environment.configuration.limits.authEventsFetched)
        return await verification.verified(Self.reached(from: event.authEvents, in: told))
    }

    /// Those of some events that are named, and those that these lead to by their auth events.
    static func reached(from names: [EventID], in events: [PDU]) -> [PDU] {
        let byID = Dictionary(events.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        return Array(RoomImport.reached(from: names, in: byID, by: \.authEvents).values)
    }

    /// One event.
    func event(_ id: EventID, room: RoomID, version: RoomVersion, from server: ServerName) async -> VerifiedPDU? {
        guard let answer = await ask(APICall(.getEvent, ["eventId": id.text]), server),
            let pdu = parse(answer["pdus"], version, room, limit: 1).first, pdu.id == id
        else { return nil }
        return try? await verification.verified(pdu)
    }

    /// Single events, several at once: those that could be had.
    func events(_ ids: [EventID], room: RoomID, version: RoomVersion, from server: ServerName) async -> [VerifiedPDU] {
        await withTaskGroup(of: VerifiedPDU?.self) { group in
            var rest = ids[...]
            func start() {
                guard let id = rest.popFirst() else { return }
                group.addTask { await event(id, room: room, version: version, from: server) }
            }
            for _ in 0..<Self.width { start() }
            var found: [VerifiedPDU] = []
            for await pdu in group {
                if let pdu { found.append(pdu) }
                start()
            }
            return found
        }
    }

    /// Events as their senders' servers have them: those that could be had. All of these are asked at once, each for one after
    /// the other, so that none that is slow takes the time of others.
    func ofSenders(_ events: [VerifiedPDU]) async -> [VerifiedPDU] {
        let shares = Dictionary(grouping: events, by: \.sender.serverName).sorted { $0.key < $1.key }
        return await withTaskGroup(of: [VerifiedPDU].self) { group in
            for (server, events) in shares {
                group.addTask {
                    var found: [VerifiedPDU] = []
                    for event in events {
                        guard
                            let told = await self.event(
                                event.id, room: event.roomID, version: event.version, from: server)
                        else { continue }
                        found.append(told)
                    }
                    return found
                }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
    }

    /// The state before an event, as ids, each once: those of the state and those of its auth chain. Nil when it was not told, or
    /// told with what is no id, or more of it than the operator lets: a part of a state would let this server judge otherwise
    /// than all others.
    func stateIDs(before event: PDU, from server: ServerName) async -> (state: [EventID], auth: [EventID])? {
        let call = APICall(
            .getRoomStateIds, ["roomId": event.roomID.text], query: [("event_id", event.id.text)])
        guard let answer = await ask(call, server) else { return nil }
        let limit = environment.configuration.limits.stateEventsFetched
        func ids(_ key: String) -> [EventID]? {
            let told = answer[key]?.elements ?? []
            guard told.count <= limit else { return nil }
            let ids = told.compactMap { $0.string.flatMap { try? EventID($0) } }
            guard ids.count == told.count else { return nil }
            var seen: Set<EventID> = []
            return ids.filter { seen.insert($0).inserted }
        }
        guard let state = ids("pdu_ids"), !state.isEmpty, let auth = ids("auth_chain_ids") else { return nil }
        return (state, auth)
    }

    /// The state before an event with its auth chain, whole; nil when it was not told. Signatures are good: events without
    /// are left out.
    /// - Parameter ids: the events of the state.
    func state(_ ids: [EventID], before event: PDU, from server: ServerName) async -> [VerifiedPDU]? {
        let call = APICall(
            .federationGetRoomState, ["roomId": event.roomID.text], query: [("event_id", event.id.text)])
        guard let answer = await ask(call, server, environment.configuration.timeouts.federationJoin) else {
            return nil
        }
        let pdus =
            parse(
                answer["pdus"], event.version, event.roomID, limit: environment.configuration.limits.stateEventsFetched)
            + parse(
                answer["auth_chain"], event.version, event.roomID,
                limit: environment.configuration.limits.stateEventsFetched)
        return await verification.verified(Self.reached(from: ids, in: pdus))
    }

    /// Older events than these, newest first. Signatures are good.
    func backfill(
        _ room: RoomID, version: RoomVersion, from events: [EventID], limit: Int, at server: ServerName
    ) async -> [VerifiedPDU] {
        let call = APICall(
            .backfillRoom, ["roomId": room.text],
            query: events.prefix(20).map { ("v", $0.text) } + [("limit", String(limit))])
        guard let answer = await ask(call, server) else { return [] }
        let pdus = parse(answer["pdus"], version, room, limit: limit)
        return await verification.verified(pdus).sorted { ($0.depth, $0.id) > ($1.depth, $1.id) }
    }

    /// The event that a server says was closest to a time, milliseconds since 1970.
    func event(
        closestTo timestamp: Int64, forward: Bool, in room: RoomID, from server: ServerName
    ) async -> EventID? {
        let call = APICall(
            .federationGetEventByTimestamp, ["roomId": room.text],
            query: [("ts", String(timestamp)), ("dir", forward ? "f" : "b")])
        return await ask(call, server)?["event_id"]?.string.flatMap { try? EventID($0) }
    }

    /// - Parameter time: milliseconds; the time for a request where nil.
    private func ask(_ call: APICall, _ server: ServerName, _ time: Int64? = nil) async -> JSONView? {
        var timeout = Duration.milliseconds(time ?? environment.configuration.timeouts.federationRequest)
        if let deadline {
            timeout = min(timeout, deadline - environment.clock.monotonic())
            guard timeout > .zero else { return nil }
        }
        do {
            return try await client.json(call, at: server, timeout: timeout)
        } catch {
            environment.logger.debug(
                "not fetched",
                metadata: ["operation": "\(call.route.operationID)", "server": "\(server)", "cause": "\(error)"])
            return nil
        }
    }

    private func parse(_ view: JSONView?, _ version: RoomVersion, _ room: RoomID, limit: Int) -> [PDU] {
        (view?.elements ?? []).prefix(limit).compactMap { entry in
            guard let pdu = try? PDU(parsing: entry, version: version), pdu.roomID == room else { return nil }
            return pdu
        }
    }
}
