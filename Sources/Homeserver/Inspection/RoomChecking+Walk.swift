internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The walk through the graph, from the create event to the newest: what is allowed, and what the state becomes.
extension RoomChecking {
    /// What is needed to judge an event is damaged, which is said elsewhere.
    private struct Unjudgeable: Error {}

    mutating func walk() throws {
        guard let create = try createEvent() else {
            return report.add(.room, nil, "its create event is not here")
        }
        let order = ordered()
        for start in stride(from: 0, to: order.count, by: RoomCheck.rowsAtOnce) {
            let chunk = Array(order[start..<min(start + RoomCheck.rowsAtOnce, order.count)])
            let events = try cache.events(chunk, from: log)
            for nid in chunk {
                guard let event = events[nid], nodes[nid] != nil else { continue }
                try judge(event, create)
            }
        }
        try checkRedactions()
    }

    private mutating func createEvent() throws -> PDU? {
        for (id, nid) in numbers where nodes[nid]?.isState == true && nodes[nid]?.prev.isEmpty == true {
            guard let event = try log.event(nid: nid)?.pdu, event.type == .create, event.stateKey == "" else {
                continue
            }
            let version = RoomCreate.roomVersion(of: event.content)
            if version != room.version { report.add(.room, id, "the room's row has version \(room.version.text)") }
            return event
        }
        return nil
    }

    /// The events, each after those before it. Of equals the older first.
    private mutating func ordered() -> [Int64] {
        var waiting: [Int64: Int] = [:]
        var after: [Int64: [Int64]] = [:]
        for node in nodes.values {
            let known = Set(node.prev.filter { nodes[$0] != nil })
            waiting[node.nid] = known.count
            for prev in known { after[prev, default: []].append(node.nid) }
        }
        var level = waiting.filter { $0.value == 0 }.map(\.key).sorted()
        var order: [Int64] = []
        order.reserveCapacity(nodes.count)
        while !level.isEmpty {
            order += level
            var next: [Int64] = []
            for nid in level {
                for child in after[nid] ?? [] {
                    let left = (waiting[child] ?? 1) - 1
                    waiting[child] = left
                    if left == 0 { next.append(child) }
                }
            }
            level = next.sorted()
        }
        if order.count < nodes.count {
            report.add(
                .circle, nil, "\(nodes.count - order.count) events refer to each other in a circle, or follow one")
        }
        return order
    }

    // MARK: One event

    private mutating func judge(_ event: StoredEvent, _ create: PDU) throws {
        guard let node = nodes[event.nid] else { return }
        // It is judged again once the room's members are known.
        if node.flags.contains(.partialState) {
            report.partial += 1
            nodes[event.nid]?.state = node.storedState
            return
        }
        do {
            // The place of an outlier is not known, only what its auth events allow.
            let before = try node.flags.contains(.outlier) ? nil : stateBefore(event, node)
            do {
                var reason = try refusal(ofAuthEvents: event, create)
                if reason == nil, let before { reason = try refusal(of: event.pdu, at: before, create) }
                compareVerdict(event, reason, node)
            } catch is Unjudgeable { report.unjudged += 1 }
            if let before { try compareState(event, node, before) }
            if node.flags.contains(.assumedState) { nodes[event.nid]?.state = nil }
        } catch let error as DatabaseError where error.kind == .corrupt {
            report.unjudged += 1
        } catch is CorruptState {
            report.add(.stateUnreadable, event.id, "nodes of a state are missing or damaged")
        } catch let failure as ResolutionFailure {
            report.add(.stateUnreadable, event.id, "the states before it cannot be resolved: \(failure)")
        }
    }

    private mutating func compareVerdict(_ event: StoredEvent, _ reason: String?, _ node: Node) {
        let isRejected = node.flags.contains(.rejected)
        if let reason, !isRejected { report.add(.verdict, event.id, "it was let in, but: \(reason)") }
        if reason == nil, isRejected { report.add(.verdict, event.id, "it was rejected, but the rules allow it") }
    }

    /// The state before an event, from those before it, else as it was told; nil where nobody knows.
    private mutating func stateBefore(_ event: StoredEvent, _ node: Node) throws -> StateChange? {
        if event.pdu.prevEvents.isEmpty { return event.pdu.type == .create ? StateChange(.empty) : nil }
        let roots = node.prev.compactMap { nodes[$0]?.state }
        if node.hasAllPrev, roots.count == node.prev.count, !node.flags.contains(.assumedState) {
            if Set(roots).count > 1 { report.resolutions += 1 }
            return try StateMerge(connection, sealer: environment.sealer, states: states, events: cache)
                .resolve(roots, version: room.version, pending: ownStates)
        }
        guard let told = node.storedState else { return nil }
        report.toldStates += 1
        try checkTold(told, event, node)
        guard node.isState, !node.flags.contains(.rejected), let key = StateKey(of: event.pdu) else {
            return StateChange(told)
        }
        return try applying(key, node.replaces, to: StateChange(told))
    }

    private func applying(_ key: StateKey, _ nid: Int64?, to base: StateChange) throws -> StateChange {
        // A key without a number is in no state that is kept.
        guard let number = try states.numbers(of: [key], connection)[key] else { throw CorruptState() }
        return try StateWriter(connection, states).applying([number: nid], to: base)
    }

    /// A state that was told holds state events of the room that were not rejected, each in its place.
    private mutating func checkTold(_ root: StateRoot, _ event: StoredEvent, _ node: Node) throws {
        let state = try StateReader(connection, states, pending: ownStates).all(at: root)
        for (key, nid) in state where !damaged.contains(nid) {
            guard let held = nodes[nid] else {
                report.add(.stateAfter, event.id, "\(key) is held by event number \(nid), which is not of the room")
                return
            }
            guard held.isState, !held.flags.contains(.rejected) else {
                report.add(.stateAfter, event.id, "\(key) is held by an event that was rejected or is no state")
                return
            }
        }
        for chunk in state.keys.chunked(into: RoomCheck.rowsAtOnce) {
            let held = try cache.events(Set(chunk.compactMap { state[$0] }.filter { nodes[$0] != nil }), from: log)
            for key in chunk {
                guard let nid = state[key], let pdu = held[nid]?.pdu, StateKey(of: pdu) != key else { continue }
                return report.add(.stateAfter, event.id, "\(key) is held by an event of another type or state key")
            }
        }
        if node.isState, !node.flags.contains(.rejected), let key = StateKey(of: event.pdu), state[key] != event.nid {
            report.add(.stateAfter, event.id, "the state after it does not hold it")
        }
    }

    private mutating func compareState(_ event: StoredEvent, _ node: Node, _ before: StateChange) throws {
        var after = before
        if !node.flags.contains(.rejected), let key = StateKey(of: event.pdu) {
            let replaced = try StateReader(connection, states, pending: before)
                .event(at: before.root, key.type, key.stateKey)
            if replaced != node.replaces {
                report.add(
                    .replaces, event.id,
                    "it took the place of \(name(replaced)), the row says \(name(node.replaces))")
            }
            after = try applying(key, event.nid, to: before)
        }
        nodes[event.nid]?.state = after.root
        guard after.root != node.storedState else { return }
        // What is not stored is kept, for those that follow.
        if node.prev.count != 1 || node.prev.first.flatMap({ nodes[$0]?.state }) != after.root {
            ownStates.merge(after)
        }
        guard node.prev.allSatisfy({ nodes[$0]?.state == nodes[$0]?.storedState }) else {
            report.following += 1
            return
        }
        // Of history that was fetched, the state is kept only where it was known then.
        if node.storedState == nil, node.isHistory { return }
        report.add(.stateAfter, event.id, try difference(of: after.root, and: node.storedState))
    }

    /// Says where two states differ: what follows from the log, and what is kept.
    func difference(of own: StateRoot, and stored: StateRoot?) throws -> String {
        guard let stored else { return "there is none" }
        let changes: [StateReader.Difference]
        do {
            changes = try StateReader(connection, states, pending: ownStates).difference(from: own, to: stored)
        } catch is CorruptState { return "nodes of the state that is kept are missing or damaged" }
        let shown = changes.sorted { $0.key.description < $1.key.description }.prefix(5).map { change in
            "\(change.key): \(name(change.old)), kept is \(name(change.new))"
        }
        let more = changes.count > shown.count ? " and \(changes.count - shown.count) more" : ""
        return "by the log " + shown.joined(separator: "; ") + more
    }

    func name(_ nid: Int64?) -> String {
        guard let nid else { return "none" }
        return (try? log.ids([nid])[nid]?.text) ?? "event number \(nid)"
    }

    // MARK: The rules

    private func refusal(ofAuthEvents event: StoredEvent, _ create: PDU) throws -> String? {
        let pdu = event.pdu
        if pdu.type == .create { return refusal(of: pdu, given: RoomState(), create) }
        let nids = pdu.authEvents.compactMap { numbers[$0] }
        guard damaged.isDisjoint(with: nids) else { throw Unjudgeable() }
        let auth = try cache.events(Set(nids), from: log)
        let events = nids.compactMap { auth[$0] }
        let rejected = Set(events.filter { $0.flags.contains(.rejected) }.map(\.id))
        do throws(Rejection) {
            try checkAuthEvents(
                pdu, authEvents: events.map(\.pdu), by: room.version.rules, isRejected: { rejected.contains($0) })
        } catch { return "auth events: \(error.reason)" }
        let allowing = events.map(\.pdu) + (room.version.rules.roomIDIsCreateEventHash ? [create] : [])
        return refusal(of: pdu, given: RoomState(allowing), create).map { "auth events: \($0)" }
    }

    private func refusal(of pdu: PDU, at state: StateChange, _ create: PDU) throws -> String? {
        if pdu.type == .create { return nil }
        let keys = authEventKeys(for: pdu) + [StateKey(.create, ""), StateKey(.powerLevels, "")]
        let nids = try StateReader(connection, states, pending: state).events(at: state.root, keys: Set(keys))
        guard damaged.isDisjoint(with: nids.values) else { throw Unjudgeable() }
        let events = try cache.events(Set(nids.values), from: log)
        return refusal(of: pdu, given: RoomState(events.values.map(\.pdu)), create).map { "state before: \($0)" }
    }

    private func refusal(of pdu: PDU, given state: RoomState, _ create: PDU) -> String? {
        do throws(Rejection) {
            try authorize(pdu, given: state, by: room.version.rules, create: create)
            return nil
        } catch { return error.reason }
    }

    // MARK: Redactions

    /// Each redacted event names a redaction of it that counts.
    private mutating func checkRedactions() throws {
        let all = redactions.sorted { $0.key < $1.key }
        for (nid, by) in all {
            guard let target = try cache.events([nid], from: log)[nid] else { continue }
            guard let redactor = numbers[by], nodes[redactor] != nil,
                let redaction = try cache.events([redactor], from: log)[redactor]
            else {
                // It may have been taken out for its age, being a message.
                if purged == nil || numbers[by] != nil {
                    report.add(.redaction, target.id, "\(by), which redacted it, is not here")
                }
                continue
            }
            if redaction.pdu.type != .redaction || redaction.pdu.redacts != target.id {
                report.add(.redaction, target.id, "\(by) does not redact it")
            } else if !redaction.flags.isDisjoint(with: [.rejected, .softFailed]) {
                report.add(.redaction, target.id, "\(by), which redacted it, does not count")
            }
        }
    }
}

extension Sequence {
    /// The elements in runs of at most `count`.
    func chunked(into count: Int) -> [[Element]] {
        reduce(into: [[Element]]()) { runs, element in
            if let last = runs.last, last.count < count {
                runs[runs.count - 1].append(element)
            } else {
                runs.append([element])
            }
        }
    }
}
