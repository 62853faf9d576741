internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Events as they were sent. Where another server than its sender's tells a copy that is not whole, though nothing that came
/// here redacts it, the sender's server is asked, or whoever passes events on could take the words out of them. The copy itself
/// counts where there is no other.
extension PDUJudgement {
    /// The part of the time for missing events in which whole copies are asked for, and how many at most.
    private static let timePart: Int64 = 6
    private static let asked = 100
    /// What was asked for to fill a gap or history is not asked for again sooner.
    private static let pause = Duration.seconds(300)
    private static let bytesPerAsked = 200

    /// An event that another server passed on.
    func whole(
        _ event: VerifiedPDU, in room: RoomRecord, by missing: @autoclosure () throws -> MissingEvents
    ) async throws -> VerifiedPDU {
        guard isStripped(event) else { return event }
        let lacking = try await lacking([event], among: [event], in: room)
        guard !lacking.isEmpty else { return event }
        return try await copies(of: lacking, in: room, by: missing())[event.id] ?? event
    }

    /// Events that a server told to fill a gap or history, in their order.
    func whole(
        _ events: [VerifiedPDU], in room: RoomRecord, toldBy teller: ServerName
    ) async throws -> [VerifiedPDU] {
        let now = environment.clock.monotonic()
        let stripped = events.filter { event in
            guard isStripped(event), event.sender.serverName != teller else { return false }
            return askedWhole.value(event.id).map { now - $0 >= Self.pause } ?? true
        }
        guard !stripped.isEmpty else { return events }
        let lacking = try await lacking(Self.byTurns(stripped), among: events, in: room)
        guard !lacking.isEmpty else { return events }
        for event in lacking { askedWhole.put(event.id, now, cost: Self.bytesPerAsked) }
        let copies = try await copies(of: lacking, in: room, by: missing)
        return events.map { copies[$0.id] ?? $0 }
    }

    /// Whether the content is not what was hashed. Our own events are here as they were sent.
    private func isStripped(_ event: VerifiedPDU) -> Bool {
        event.sender.serverName != environment.serverName && !ContentHash.matches(event.pdu)
    }

    /// The first of each server before the second of any, so that no server's events keep those of others from being asked for.
    private static func byTurns(_ events: [VerifiedPDU]) -> [VerifiedPDU] {
        var turns: [ServerName: Int] = [:]
        return events.enumerated().map { index, event in
            turns[event.sender.serverName, default: 0] += 1
            return (turn: turns[event.sender.serverName] ?? 0, index: index, event: event)
        }.sorted { ($0.turn, $0.index) < ($1.turn, $1.index) }.map(\.event)
    }

    /// The first of some events that are neither here, but as part of a state, nor redacted.
    private func lacking(
        _ stripped: [VerifiedPDU], among events: [VerifiedPDU], in room: RoomRecord
    ) async throws -> [VerifiedPDU] {
        // In versions 1 and 2 whether a redaction takes effect shows only when it is judged: of these, those that are here.
        let mustBeJudged = room.version.rules.authorization.redactionsNeedPower
        let redactions = mustBeJudged ? [:] : Dictionary(grouping: events.map(\.pdu), by: \.redacts)
        return try await environment.database.read { connection in
            let log = reader.log(connection)
            let stored = try log.events(ids: stripped.map(\.id))
            let keys = [StateKey(.create, ""), StateKey(.powerLevels, "")]
            let state = RoomState(try reader.state(at: room.state, keys: keys, in: connection).mapValues(\.pdu))
            var lacking: [VerifiedPDU] = []
            for event in stripped where lacking.count < Self.asked {
                if let known = stored[event.id], !known.flags.contains(.outlier) || ContentHash.matches(known.pdu) {
                    continue
                }
                let came = try log.pendingRedactions(of: event.id, room: room.nid).map(\.pdu)
                let isRedacted = (came + (redactions[event.id] ?? [])).contains {
                    redactionApplies($0, to: event.pdu) { state }
                }
                if !isRedacted { lacking.append(event) }
            }
            return lacking
        }
    }

    /// Whole copies of events, as far as they are to be had. What is here as part of a state has its body from them.
    private func copies(
        of events: [VerifiedPDU], in room: RoomRecord, by missing: MissingEvents
    ) async throws -> [EventID: VerifiedPDU] {
        let time = Duration.milliseconds(environment.configuration.timeouts.missingEvents / Self.timePart)
        let told = await missing.within(time).ofSenders(events)
        let asked = Dictionary(events.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let copies = told.filter { copy in
            ContentHash.matches(copy.pdu) && asked[copy.id].map { copy.pdu.isCopy(of: $0.pdu) } ?? false
        }
        try await writer.restore(copies, of: stored(copies.map(\.id)), in: room.id)
        return Dictionary(copies.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }
}
