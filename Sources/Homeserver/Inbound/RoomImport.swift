internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Checks a room as another server describes it, its state and auth chain, and writes it with our join on top.
struct RoomImport: Sendable {

    let environment: Environment
    let verification: PDUVerification
    let writer: RoomWriter

    /// Writes a room. Throws a `MatrixError` when its description does not hold: no create event, a join that its state does
    /// not allow, too many events that do not pass. Few of these are left out.
    /// - Parameters:
    ///   - resident: who told it.
    ///   - partial: where the state lacks the room's members: who told it, and the servers in the room.
    ///   - followed: of a room that was here before, newest events that the join follows.
    func write(
        room: RoomID, version: RoomVersion, join: PDU, state: [JSONView], authChain: [JSONView],
        from resident: ServerName, partial: (resident: ServerName, servers: [ServerName])? = nil,
        following followed: Set<EventID> = []
    ) async throws {
        guard state.count + authChain.count <= environment.configuration.limits.stateEventsFetched else {
            throw MatrixError(.tooLarge, "The room is too large", status: 502)
        }
        var parsed: [EventID: PDU] = [:]
        var stateIDs: [EventID] = []
        for (views, isState) in [(state, true), (authChain, false)] {
            for view in views {
                guard let pdu = try? PDU(parsing: view, version: version), pdu.roomID == room, pdu.isState else {
                    continue
                }
                parsed[pdu.id] = pdu
                if isState { stateIDs.append(pdu.id) }
            }
        }
        let starts = stateIDs + join.authEvents
        let verified = await verification.verified(MissingEvents.reached(from: starts, in: Array(parsed.values)))
        try await restore(verified, in: room)
        let accepted = try Self.accepted(verified, room: room, version: version)
        var stateEvents = stateIDs.compactMap { accepted[$0] }
        var before = RoomState(stateEvents)
        if partial != nil {
            // Of members who are not told, what the join's auth events say.
            for event in join.authEvents.compactMap({ accepted[$0] }) where event.type == .member {
                guard let key = StateKey(of: event), before.events[key] == nil else { continue }
                before.insert(event)
                stateEvents.append(event)
            }
        }
        guard let create = before.event(.create, "") else {
            throw MatrixError(.unknown, "The room's description has no create event", status: 502)
        }
        guard RoomVersion(create.content["room_version"]?.string ?? "1") == version else {
            throw MatrixError(.unknown, "The room's description is of another version", status: 502)
        }
        do { try authorize(join, given: before, by: version.rules, create: create) } catch {
            throw MatrixError(.forbidden, "The room's state does not allow the join: \(error.reason)")
        }
        let leftOut = stateIDs.filter { accepted[$0] == nil }
        // What is not noted would never be asked for, and all that these members say be rejected for good. Where members are
        // to follow, the state is asked for anew.
        guard partial != nil || leftOut.count <= environment.configuration.limits.stateEventsLeftOut else {
            throw MatrixError(.unknown, "Too much of the room's state could not be had", status: 502)
        }
        try await writer.importRoom(
            room, version: version, join: join, state: stateEvents, authChain: Array(accepted.values),
            partial: partial, leftOut: (resident, leftOut), following: followed)
    }

    /// Gives events of a room that was here before their bodies, where the copy that came first was not whole.
    private func restore(_ events: [VerifiedPDU], in room: RoomID) async throws {
        guard let record = try await writer.reader.record(room) else { return }
        for start in stride(from: 0, to: events.count, by: RoomLimits.copiesCompared) {
            let part = Array(events[start..<min(start + RoomLimits.copiesCompared, events.count)])
            let known = try await environment.database.read {
                try writer.reader.log($0).events(ids: part.map(\.id))
            }
            try await writer.restore(part, of: known, in: record.id)
        }
    }

    /// The events that their auth events allow, judged in an order in which these come first.
    static func accepted(_ events: [VerifiedPDU], room: RoomID, version: RoomVersion) throws -> [EventID: PDU] {
        let events = events.map(\.pdu)
        let byID = Dictionary(events.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var accepted: [EventID: PDU] = [:]
        // What has more than one create event is no room.
        let creates = byID.values.filter { $0.type == .create && $0.stateKey == "" && $0.roomID == room }
        guard let create = creates.first, creates.count == 1 else { return [:] }
        for event in inAuthOrder(byID) {
            var auth = event.authEvents.compactMap { accepted[$0] }
            guard auth.count == event.authEvents.count else { continue }
            if version.rules.roomIDIsCreateEventHash, event.id != create.id { auth.append(create) }
            let state = RoomState(auth)
            do throws(Rejection) {
                try checkAuthEvents(
                    event, authEvents: event.authEvents.compactMap { accepted[$0] }, by: version.rules,
                    isRejected: { accepted[$0] == nil })
                try authorize(event, given: state, by: version.rules, create: create)
                accepted[event.id] = event
            } catch { continue }
        }
        return accepted
    }

    /// Those of some events that are named, and those that these lead to. Without recursion, since chains may be long.
    static func reached<Event>(
        from names: some Sequence<EventID>, in events: [EventID: Event], by named: (Event) -> [EventID]
    ) -> [EventID: Event] {
        var reached: [EventID: Event] = [:]
        var open = Array(names)
        while let id = open.popLast() {
            guard reached[id] == nil, let event = events[id] else { continue }
            reached[id] = event
            open += named(event)
        }
        return reached
    }

    /// Events so that each comes after its auth events.
    static func inAuthOrder(_ events: [EventID: PDU]) -> [PDU] { ordered(events, by: \.authEvents) }

    /// Events so that each comes after those it names. Without recursion, since chains may be long.
    static func ordered<Event>(_ events: [EventID: Event], by names: (Event) -> [EventID]) -> [Event] {
        var order: [Event] = []
        var done: Set<EventID> = []
        var entered: Set<EventID> = []
        for start in events.keys.sorted() {
            var stack: [(id: EventID, isLeaving: Bool)] = [(start, false)]
            while let (id, isLeaving) = stack.popLast() {
                guard let event = events[id], !done.contains(id) else { continue }
                if isLeaving {
                    done.insert(id)
                    order.append(event)
                } else if entered.insert(id).inserted {
                    stack.append((id, true))
                    for named in names(event) where !done.contains(named) { stack.append((named, false)) }
                }
            }
        }
        return order
    }
}
