internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Sending drafts: those that wait for one room, in one append.
extension RoomWriter {
    /// A chain of events built on a head, before its states are worked out.
    struct Chain {
        var head: RoomHead
        /// The extremities that the first event follows, and the servers in the room before it.
        let initialPrev: Set<Int64>
        let servers: [ServerName]
        var planned: [(job: Int, event: StoredEvent, replaces: Int64?)] = []
        var authNIDs: [Int64: [Int64]] = [:]
        var redactions: [AppliedRedaction] = []
        /// Jobs that are done without a new event.
        var settled: [Int: Result<StoredEvent, any Error>] = [:]

        init(head: RoomHead) {
            self.head = head
            initialPrev = Set(head.prev.map(\.nid))
            servers = head.servers ?? []
        }
    }

    func send(
        _ jobs: [DraftJob], room: RoomID, lane: RoomLane
    ) async -> [Result<StoredEvent, any Error>] {
        var results: [Result<StoredEvent, any Error>?] = Array(repeating: nil, count: jobs.count)
        var open = Array(jobs.indices)
        do {
            while !open.isEmpty {
                // Of those with the same transaction id the first goes; the others find its answer.
                var origins: Set<SendOrigin> = []
                let first = open.filter { index in jobs[index].origin.map { origins.insert($0).inserted } ?? true }
                let done = try await retrying(lane, room) { try await sendOnce(jobs, first, room: room, lane: lane) }
                for (index, result) in done { results[index] = result }
                open.removeAll { done[$0] != nil }
            }
        } catch {
            for index in open { results[index] = .failure(error) }
        }
        for (index, result) in results.enumerated() {
            guard case .failure? = result, let origin = jobs[index].origin else { continue }
            // What is refused now may have been sent before.
            if let first = try? await answered(origin) { results[index] = .success(first) }
        }
        return results.map { $0 ?? .failure(MatrixError.unknown) }
    }

    private func sendOnce(
        _ jobs: [DraftJob], _ waiting: [Int], room: RoomID, lane: RoomLane
    ) async throws -> [Int: Result<StoredEvent, any Error>] {
        // What follows a change of the policy server is for the new one.
        let change = waiting.firstIndex { !RoomPolicy.covers(jobs[$0].draft.type, stateKey: jobs[$0].draft.stateKey) }
        let open = waiting.prefix((change ?? waiting.count) + 1)
        let drafts = open.map { jobs[$0].draft }
        let head = try await head(of: room, lane: lane, for: drafts)
        let targets = try await redactionTargets(of: drafts)
        let nids = try await eventNumbers(open.count)
        var chain = Chain(head: head)
        for (nid, index) in zip(nids, open) {
            do {
                try add(jobs[index], index: index, nid: nid, to: &chain, targets: targets)
            } catch {
                chain.settled[index] = .failure(error)
            }
        }
        guard !chain.planned.isEmpty else {
            lane.head = head
            return chain.settled
        }
        if let policy = head.policy, await !sign(&chain, by: policy) {
            // What was done without a new event may lean on one that is not sent now.
            return chain.settled.filter { if case .failure = $0.value { true } else { false } }
        }
        do {
            let events = try await commit(&chain, jobs: jobs, isNew: false)
            lane.head = chain.head
            var results = chain.settled
            for (planned, event) in zip(chain.planned, events) { results[planned.job] = .success(event) }
            return results
        } catch let repeated as RepeatedTransaction {
            guard chain.planned.indices.contains(repeated.index) else { throw MatrixError.unknown }
            guard let event = try await event(in: repeated.response) else { throw MatrixError.unknown }
            return [chain.planned[repeated.index].job: .success(event)]
        }
    }

    /// Builds one draft on the chain.
    func add(
        _ job: DraftJob, index: Int, nid: Int64, to chain: inout Chain, targets: [EventID: StoredEvent] = [:]
    ) throws(MatrixError) {
        let draft = job.draft
        let key = draft.stateKey.map { StateKey(draft.type, $0) }
        let current = key.flatMap { chain.head[$0] }
        if let current, draft.stickyMilliseconds == nil, current.pdu.sender == draft.sender,
            JSONValue(current.pdu.content) == draft.content
        {
            chain.settled[index] = .success(current)
            return
        }
        let timestamp = job.timestamp ?? environment.clock.now()
        let pdu = try builder.build(draft, on: chain.head, timestamp: timestamp)
        if pdu.type == .redaction, let id = pdu.redacts {
            chain.redactions.append(try redaction(pdu, of: targets[id], on: chain.head))
        }
        let event = StoredEvent(
            nid: nid, pdu: pdu, roomNID: chain.head.record.nid, position: nil, flags: [], stateAfter: nil,
            replaces: current?.nid, senderDevice: job.origin?.device, transactionID: job.origin?.transactionID)
        chain.authNIDs[nid] = builder.authEvents(for: draft, on: chain.head).map(\.nid)
        chain.planned.append((index, event, current?.nid))
        chain.head.advance(past: event)
    }

    /// What a local redaction does to its target.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#redactions>
    private func redaction(
        _ pdu: PDU, of target: StoredEvent?, on head: RoomHead
    ) throws(MatrixError) -> AppliedRedaction {
        guard let target, target.pdu.roomID == head.record.id, !target.flags.contains(.rejected) else {
            throw MatrixError(.notFound, "There is no such event in the room")
        }
        guard let create = head.create else { throw MatrixError.unknown }
        let levels = head.powerLevels(create: create)
        let mayRedact: Bool
        do {
            mayRedact = try levels.level(of: pdu.sender) >= levels.required(for: .redact)
        } catch {
            mayRedact = false
        }
        guard mayRedact || target.pdu.sender == pdu.sender else {
            throw MatrixError(.forbidden, "You may not redact this event")
        }
        do {
            return AppliedRedaction(target: target.nid, redacted: try target.pdu.redacted(), by: pdu.id)
        } catch {
            throw MatrixError(error)
        }
    }

    /// Works out the states of a chain and appends it.
    /// - Parameter also: more to be written in the same transaction.
    func commit(
        _ chain: inout Chain, jobs: [DraftJob], isNew: Bool,
        also: (@Sendable (any SQLConnection) throws -> Void)? = nil
    ) async throws -> [StoredEvent] {
        let before = chain.head.record
        let (roots, change) = try await states(of: chain)
        let last = chain.planned.last?.event.nid
        let rest = isNew ? [] : before.extremities.filter { nid in !chain.initialPrev.contains(nid) }
        var append = RoomAppend(
            roomNID: before.nid, roomID: before.id, version: before.version,
            expectedHeadVersion: isNew ? nil : before.headVersion,
            head: RoomAppend.Head(
                state: change.root, extremities: rest + (last.map { [$0] } ?? []), depth: chain.head.record.depth),
            state: change, now: environment.clock.now())
        if !rest.isEmpty { try await merge(chain, roots: roots, into: &append) }
        let flags: EventFlags = before.isPartial ? .partialState : []
        let servers = Set(chain.servers.filter { $0 != environment.serverName })
        for (planned, root) in zip(chain.planned, roots) {
            let pdu = planned.event.pdu
            var destinations = servers
            if pdu.type == .member, let user = pdu.stateKey.flatMap({ try? UserID($0) }) {
                if rest.isEmpty {
                    append.members.append(MemberChange(user: user, event: (planned.event.nid, pdu)))
                }
                if environment.isLocal(user) {
                    if !append.concerned.contains(user) { append.concerned.append(user) }
                } else if environment.configuration.federation.isEnabled {
                    destinations.insert(user.serverName)
                }
            }
            append.events.append(
                EventInsertion(
                    nid: planned.event.nid, pdu: pdu, place: .live,
                    flags: flags, stateAfter: root,
                    replaces: planned.replaces, authNIDs: chain.authNIDs[planned.event.nid] ?? [],
                    origin: jobs.indices.contains(planned.job) ? jobs[planned.job].origin : nil,
                    destinations: destinations.sorted()))
        }
        append.redactions = chain.redactions
        let sealed = append
        let appended = try await environment.database.groupedWrite { connection in
            let appended = try EventLog(connection, environment.sealer).append(sealed)
            try also?(connection)
            return appended
        }
        let events = zip(chain.planned, roots).map { planned, root in
            let event = planned.event
            let head = event.nid == chain.planned.last?.event.nid ? sealed.head?.state : nil
            return StoredEvent(
                nid: event.nid, pdu: event.pdu, roomNID: event.roomNID, position: appended.positions[event.nid],
                flags: flags, stateAfter: root, headState: head == root ? nil : head, replaces: planned.replaces,
                senderDevice: event.senderDevice,
                transactionID: event.transactionID)
        }
        for event in events {
            if event.pdu.isState { reader.events.keep(event) }
            if let key = StateKey(of: event.pdu) { chain.head.learn([key], [key: event]) }
        }
        reader.events.forget(chain.redactions.map(\.target))
        chain.head.record.headVersion = isNew ? 1 : before.headVersion + 1
        chain.head.record.state = append.head?.state ?? change.root
        chain.head.record.extremities = append.head?.extremities ?? []
        if let newest = events.last { chain.head.prev = [newest] }
        if let last = appended.last { chain.head.record.lastPosition = last }
        chain.head.base = chain.head.record.state
        // The next event follows others, too, and so another state.
        if !rest.isEmpty { chain.head = RoomHead(record: chain.head.record) }
        chain.head.trim()
        return events
    }

    /// Where a chain does not follow all of the room's extremities, the room's state is what all of them resolve to.
    private func merge(_ chain: Chain, roots: [StateRoot], into append: inout RoomAppend) async throws {
        guard var head = append.head, let newest = roots.last else { return }
        let room = chain.head.record
        let unstored = Dictionary(
            uniqueKeysWithValues: zip(chain.planned, roots).map { planned, root in
                let event = planned.event
                return (
                    event.nid,
                    StoredEvent(
                        nid: event.nid, pdu: event.pdu, roomNID: room.nid, position: nil, flags: [], stateAfter: root,
                        replaces: planned.replaces)
                )
            })
        let (pending, extremities) = (append.state, head.extremities)
        let (state, members) = try await environment.database.read { connection in
            let merge = HeadMerge(reader: reader, connection: connection, room: room)
            let state = try merge.state(
                after: extremities, current: room.state, newest: newest, pending: pending, unstored: unstored)
            return (state, try merge.members(in: state, unstored: unstored))
        }
        head.state = state.root
        append.head = head
        append.state = state
        append.members = members
        append.concerned += members.map(\.user).filter(environment.isLocal)
    }

    /// The state after each event of a chain.
    private func states(of chain: Chain) async throws -> ([StateRoot], StateChange) {
        let keys = chain.planned.compactMap { StateKey(of: $0.event.pdu) }
        let base = StateChange(chain.head.base)
        guard !keys.isEmpty else { return (chain.planned.map { _ in base.root }, base) }
        let numbers = try await reader.numbers(of: keys)
        let planned = chain.planned.map { (key: StateKey(of: $0.event.pdu), nid: $0.event.nid) }
        return try await environment.database.read { connection in
            let writer = StateWriter(connection, reader.states)
            var change = base
            var roots: [StateRoot] = []
            for (key, nid) in planned {
                if let key {
                    guard let number = numbers[key] else { throw CorruptState() }
                    change = try writer.applying([number: nid], to: change)
                }
                roots.append(change.root)
            }
            return (roots, change)
        }
    }

    // MARK: Reading

    /// The room's head with all that the drafts' building asks for.
    func head(of room: RoomID, lane: RoomLane?, for drafts: [EventDraft]) async throws -> RoomHead {
        var keys: [RoomVersion: [StateKey]] = [:]
        func wanted(_ version: RoomVersion) -> [StateKey] {
            if let known = keys[version] { return known }
            let all = Array(Set(drafts.flatMap { EventBuilder.keys(for: $0, rules: version.rules) }))
            keys[version] = all
            return all
        }
        if let head = lane?.head, !head.prev.isEmpty, head.servers != nil,
            head.missing(wanted(head.record.version)).isEmpty
        {
            return head
        }
        let cached = lane?.head
        let versions = Dictionary(uniqueKeysWithValues: RoomVersion.all.map { ($0, wanted($0)) })
        var head: RoomHead? = try await environment.database.read { connection in
            guard let record = try RoomStore(connection).room(room) else { return nil }
            var head: RoomHead
            if let cached, cached.record.headVersion == record.headVersion {
                head = cached
            } else {
                head = RoomHead(record: record)
            }
            if head.prev.isEmpty {
                head.prev = try reader.log(connection).prevEvents(
                    among: record.extremities, limit: RoomLimits.prevEvents
                ).sorted { ($0.pdu.depth, $0.nid) > ($1.pdu.depth, $1.nid) }
            }
            if head.servers == nil { head.servers = try reader.joinedServers(record, in: connection) }
            guard !head.isForked else { return head }
            let missing = head.missing(versions[record.version] ?? [])
            if !missing.isEmpty {
                head.learn(missing, try reader.state(at: head.base, keys: missing, in: connection))
            }
            return head
        }
        if var forked = head, forked.isForked {
            guard
                let base = try await reader.stateBefore(
                    forked.prev.map(\.id), in: forked.record, takesAssumed: true)
            else { throw MatrixError.unknown }
            forked.base = base
            let missing = forked.missing(versions[forked.record.version] ?? [])
            forked.learn(missing, try await reader.state(at: base, keys: missing))
            head = forked
        }
        guard let head, head.create != nil else {
            throw MatrixError(.forbidden, "You are not in this room, or it does not exist")
        }
        return head
    }

    private func redactionTargets(of drafts: [EventDraft]) async throws -> [EventID: StoredEvent] {
        let ids = drafts.compactMap { draft -> EventID? in
            guard draft.type == .redaction else { return nil }
            return draft.redacts ?? draft.content["redacts"]?.string.flatMap { try? EventID($0) }
        }
        guard !ids.isEmpty else { return [:] }
        return try await environment.database.read { try EventLog($0, environment.sealer).events(ids: ids) }
    }

    /// The event that a request got before.
    /// - Throws: `DatabaseError`.
    func answered(_ origin: SendOrigin) async throws -> StoredEvent? {
        let response = try await environment.database.read { try ReplyLog($0).response(to: origin) }
        guard let response else { return nil }
        return try await event(in: response)
    }

    private func event(in response: [UInt8]) async throws -> StoredEvent? {
        guard let text = try? JSONValue.parse(response)["event_id"]?.string, let id = try? EventID(text) else {
            return nil
        }
        return try await reader.event(id)
    }
}
