internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// Whether a room is whole: the same on all servers that are in it, with all that was acknowledged and nothing that is forbidden.
struct RoomChecks: Sendable {
    let world: World
    let cast: Cast
    let room: RoomID
    /// Servers of which nobody may speak: they cannot tie together what lies in parallel.
    let mute: Set<ServerName>

    /// Gives the number of the room's events.
    func run() async throws -> Int {
        var views: [ServerView] = []
        /// Those of servers that nobody of is in the room, too.
        var everybody: [ServerView] = []
        var read: [ServerName: [EventID: [UInt8]]] = [:]
        for server in cast.servers {
            guard server.isUp else { continue }
            guard let view = try await ServerView.read(room, on: server) else {
                if world.records.acknowledged.contains(where: { $0.room == room && $0.server == server.name }) {
                    find("\(server.name) does not have the room, in which it acknowledged events")
                }
                continue
            }
            forbiddenIsHidden(view)
            keepsItsWord(view)
            sentOnce(view)
            everybody.append(view)
            guard let user = cast.users.first(where: { view.joined.contains($0.user) }) else { continue }
            guard let events = await user.readAll(room) else {
                world.records.find("\(room): \(server.name) does not let \(user.user) read, who is joined")
                continue
            }
            read[server.name] = Dictionary(
                events.compactMap { entry in
                    let id = entry["event_id"]?.string.flatMap { try? EventID($0) }
                    return id.map { ($0, ToldContent.text(of: entry)) }
                }, uniquingKeysWith: { first, _ in first })
            // Reading back may have fetched history, and the server may have crashed meanwhile.
            views.append(try await ServerView.read(room, on: server) ?? view)
        }
        try followTheRules(views)
        let together = views.filter { !$0.wasTakenOut(by: views) }
        let hostile = Set(cast.hostile.map(\.name))
        let agreement = RoomAgreement(
            views: together, mute: mute, hostile: hostile, twofold: world.records.twofold)
        for difference in agreement.differences() { find(difference) }
        let contents = ContentAgreement(
            views: views, hostile: hostile, tampered: Set(world.records.tampered.keys),
            mendable: world.records.mendable,
            redactedOutside: Set(everybody.flatMap(\.events.values).filter { $0.redactedBy != nil }.map(\.id)))
        for difference in try contents.differences() { find(difference) }
        let mended = SyncChecks.mended(views, world.records)
        for view in views { isTold(view, read[view.server] ?? [:], mended) }
        for view in together { nothingIsLost(view, Set((read[view.server] ?? [:]).keys), together, everybody) }
        if world.records.findings.contains(where: { $0.hasPrefix("\(room):") }) {
            world.trace.explain(views.flatMap(\.lines))
        }
        return Set(views.flatMap { $0.shown.keys }).count
    }

    private func find(_ text: String) { world.records.find("\(room): \(text)") }

    // MARK: Loss

    /// A server keeps and shows what it acknowledged, also when it has left the room.
    private func keepsItsWord(_ view: ServerView) {
        for event in world.records.acknowledged where event.room == room && event.server == view.server {
            guard let stored = view.events[event.event] else {
                find("\(view.server) does not have \(event.event), which it acknowledged")
                continue
            }
            if stored.position == nil { find("\(view.server) does not show \(event.event), which it acknowledged") }
        }
    }

    /// Those that are in the room have what any of them has: who leaves a room alone takes its history along, and with it the way
    /// to what came before, where the others were out of the room meanwhile.
    private func nothingIsLost(
        _ view: ServerView, _ read: Set<EventID>, _ views: [ServerView], _ everybody: [ServerView]
    ) {
        let shown = view.shown
        let wayIsLost = Self.history(of: view, by: everybody).subtracting(Self.history(of: view, by: views))
        for id in shown.keys.sorted() where !read.contains(id) {
            find("\(view.server) has \(id), but does not give it to who reads back")
        }
        // What others show this one shows, or has a reason not to.
        for other in views where other.server != view.server {
            for (id, event) in other.shown.sorted(by: { $0.key < $1.key }) where !read.contains(id) {
                guard isHonest(event.pdu.sender.serverName), !wayIsLost.contains(id) else { continue }
                let isSoftFailed = views.contains { $0.events[id]?.flags.contains(.softFailed) == true }
                // Of what is here only as part of a state it is not known when it came.
                let known = view.events[id].flatMap { $0.flags.contains(.outlier) ? nil : $0 }
                guard known.map({ $0.flags.contains(.softFailed) }) ?? isSoftFailed else {
                    find("\(view.server) does not show \(id) (\(event.pdu.type)), which \(other.server) shows")
                    continue
                }
            }
        }
    }

    /// What a server's newest events lead back to by what servers have.
    private static func history(of view: ServerView, by views: [ServerView]) -> Set<EventID> {
        var history = view.extremities
        var open = Array(history)
        while let id = open.popLast() {
            let events = views.compactMap { $0.events[id] }
            guard let event = events.first(where: { !$0.flags.contains(.outlier) }) else { continue }
            for earlier in event.pdu.prevEvents where history.insert(earlier).inserted { open.append(earlier) }
        }
        return history
    }

    /// Who reads back is given what the server has.
    private func isTold(_ view: ServerView, _ read: [EventID: [UInt8]], _ mended: Set<EventID>) {
        for (id, text) in read.sorted(by: { $0.key < $1.key }) {
            guard let event = view.events[id] else { continue }
            let fault = ToldContent.fault(in: text, of: event, isMended: mended.contains(id), world.records)
            if let fault { find("\(view.server) gives \(id) (\(event.pdu.type)) to who reads back: \(fault)") }
        }
    }

    private func isHonest(_ server: ServerName) -> Bool { cast.servers.contains { $0.name == server } }

    /// A transaction id of a client's makes one event, however often the request came.
    private func sentOnce(_ view: ServerView) {
        var sent: [String: EventID] = [:]
        for event in view.events.values.sorted(by: { $0.id < $1.id }) {
            guard let transaction = event.transactionID, let device = event.senderDevice else { continue }
            if let other = sent.updateValue(event.id, forKey: "\(event.pdu.sender) \(device) \(transaction)") {
                find("\(view.server) made \(other) and \(event.id) of one request")
            }
        }
    }

    // MARK: What may not be

    /// Works the room out from all its events, and compares.
    private func followTheRules(_ views: [ServerView]) throws {
        guard let version = views.first?.version else { return }
        var events: [EventID: PDU] = [:]
        for view in views {
            // A whole copy, where there is one.
            events.merge(view.events.mapValues(\.pdu)) { first, other in ContentHash.matches(first) ? first : other }
        }
        let twofold = world.records.twofold
        let model = try RoomModel(events, version: version)
        let afterTwofold = Self.following(twofold, in: events)
        for view in views {
            // What an id says that two events have hangs on which of them came first.
            for (id, event) in view.events.sorted(by: { $0.key < $1.key })
            where !twofold.contains(id) && twofold.isDisjoint(with: event.pdu.authEvents) {
                switch model.verdicts[id] {
                case .rejected(let reason) where event.position != nil:
                    find("\(view.server) shows \(id), which the rules reject: \(reason)")
                case .allowed where event.flags.contains(.rejected):
                    find("\(view.server) rejected \(id), which the rules allow")
                default: break
                }
            }
            // It goes on by itself, from a removal of which nobody told it the state.
            if view.wasTakenOut(by: views), view.events.values.contains(where: { $0.flags.contains(.assumedState) }) {
                continue
            }
            // Which of the two a server has decides what the states come to that this leads to.
            guard view.extremities.isDisjoint(with: afterTwofold) else { continue }
            let forks = view.extremities.sorted().compactMap { model.states[$0] }
            guard forks.count == view.extremities.count, !forks.isEmpty else { continue }
            let state = try model.resolved(forks)
            for key in Set(state.keys).union(view.state.keys).sorted(by: { $0.description < $1.description })
            where state[key] != view.state[key] {
                find(
                    "\(view.server) has for \(key) \(view.state[key]?.text ?? "nothing"), "
                        + "and by the rules it is \(state[key]?.text ?? "nothing")")
            }
        }
    }

    /// Some events and all that follows them.
    private static func following(_ ids: Set<EventID>, in events: [EventID: PDU]) -> Set<EventID> {
        var followers: [EventID: [EventID]] = [:]
        for (id, event) in events { for prev in event.prevEvents { followers[prev, default: []].append(id) } }
        var found = ids
        var open = Array(ids)
        while let id = open.popLast() {
            for next in followers[id] ?? [] where found.insert(next).inserted { open.append(next) }
        }
        return found
    }

    private func forbiddenIsHidden(_ view: ServerView) {
        let inState = Set(view.state.values)
        for event in view.shown.values.sorted(by: { $0.id < $1.id }) {
            let text = String(decoding: event.pdu.content.rawBytes, as: UTF8.self)
            if let why = world.records.markedReason(in: text) { find("\(view.server) shows \(event.id): \(why)") }
        }
        for (id, why) in world.records.unwanted(in: room).sorted(by: { $0.key < $1.key })
        where view.events[id] != nil { find("\(view.server) keeps \(id): \(why)") }
        for (id, why) in world.records.forbidden(in: room).sorted(by: { $0.key < $1.key }) {
            if view.events[id]?.position != nil { find("\(view.server) shows \(id): \(why)") }
            if inState.contains(id) { find("\(view.server) has \(id) in its state: \(why)") }
        }
    }
}
