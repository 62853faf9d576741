internal import Cryptography
internal import FedchatTesting
internal import HTTPMessages
internal import MatrixModel
internal import MatrixRooms

/// One thing that a hostile server does in a room. What may never be shown is noted as forbidden.
struct Attack: Sendable {
    let server: HostileServer
    let room: HostileServer.KnownRoom

    private var chance: Chance { server.chance }
    private var user: UserID { server.user }

    func run() async {
        let kind = chance.pick(SimulationPlan.Attack.allCases + [.talk]) ?? .talk
        switch server.world.plan.attack ?? kind {
        case .talk: await talk()
        case .fork: await fork()
        case .staleAuth: await staleAuth()
        case .wrongHash: await wrongHash()
        case .wrongSignature: await wrongSignature()
        case .oversize: await oversize()
        case .contradiction: await contradict()
        case .usurpation: await usurp()
        case .forgery: await forge()
        case .dangling: await dangle()
        case .oddAuth: await oddAuth()
        case .depths: await depths()
        case .secondBeginning: await secondBeginning()
        case .repeatedTransaction: await reuseTransaction()
        case .garbage: await garbage()
        case .comingAndGoing: await comeAndGo()
        case .tamperedRelay: await relay()
        case .forgedInvite: await forgeInvite()
        case .oneIDTwoContents: await giveIDTwice(in: room)
        case .oneIDTwoRooms:
            let others = server.rooms.filter { $0.id != room.id && $0.version.rules.eventIDIsSent }
            if let other = chance.pick(others) { await giveIDTwice(in: other) }
        case .strayAuth: await stray()
        case .forgedState: await forgeState()
        }
    }

    // MARK: What is allowed, but makes trouble

    /// An event as it should be.
    private func talk() async {
        guard let event = event(.message, nil, text()) else { return }
        server.took(event)
        await server.send([event.canonicalJSON], to: server.victims)
    }

    /// Two events at one old place, one to each half of the others.
    private func fork() async {
        guard let old = chance.pick(room.order) else { return }
        let half = server.victims.count / 2
        for (part, victims) in [server.victims.prefix(half), server.victims.dropFirst(half)].enumerated() {
            guard let event = event(.message, nil, text("fork \(part)"), prev: [old]) else { continue }
            server.took(event)
            await server.send([event.canonicalJSON], to: Array(victims))
        }
    }

    /// An event that refers to memberships and power levels of long ago.
    private func staleAuth() async {
        guard let old = chance.pick(room.order) else { return }
        let auth = authEvents().map { id -> EventID in
            guard let event = room.events[id], let key = StateKey(of: event) else { return id }
            return chance.pick(room.events.values.filter { StateKey(of: $0) == key }.map(\.id).sorted()) ?? id
        }
        guard let event = event(.message, nil, text("stale"), prev: [old], auth: auth) else { return }
        await server.send([event.canonicalJSON], to: server.victims)
    }

    /// Two values for one place in the state, one to each of two others.
    private func contradict() async {
        let prev = Array(room.extremities.sorted().prefix(10))
        for (number, victim) in server.victims.prefix(2).enumerated() {
            let content: JSONValue = ["membership": "join", "displayname": .string("face \(number) \(chance.word(3))")]
            guard let event = event(.member, user.text, content, prev: prev) else { continue }
            server.took(event)
            await server.send([event.canonicalJSON], to: [victim])
        }
    }

    /// Leaves, and comes back by an event of its own.
    private func comeAndGo() async {
        for membership in ["leave", "join"] {
            guard let event = event(.member, user.text, ["membership": .string(membership)]) else { return }
            server.took(event)
            await server.send([event.canonicalJSON], to: server.victims)
        }
    }

    /// An event whose predecessors exist nowhere.
    private func dangle() async {
        guard room.version != .v1,
            let lost = try? EventID("$" + Base64.encode(SHA256.hash(Array(chance.word(9).utf8)), .urlSafeUnpadded)),
            let event = event(.message, nil, text("dangling"), prev: [lost])
        else { return }
        await server.send([event.canonicalJSON], to: server.victims)
    }

    /// Depths as no server counts them. Where depth decides between states (version 1), the greatest there is would leave nothing
    /// to decide by ever after: no server can mend that, which is why there are later versions.
    private func depths() async {
        let rules = room.version.rules
        let depths: [Int64] = [0, 1, rules.stateResolution == .v1 ? 1 << 20 : rules.maximumDepth]
        let depth = chance.pick(depths)
        guard let event = event(.message, nil, text("depth"), depth: depth) else { return }
        await server.send([event.canonicalJSON], to: server.victims)
    }

    /// Different events under one transaction id.
    private func reuseTransaction() async {
        for part in 0..<2 {
            guard let event = event(.message, nil, text("again \(part)")) else { return }
            server.took(event)
            await server.send([event.canonicalJSON], to: server.victims, transaction: "same")
        }
    }

    // MARK: What is forbidden

    /// Content that is not what was hashed: only the redacted event may be shown.
    private func wrongHash() async {
        guard let event = event(.message, nil, text("hashed")) else { return }
        var changed = JSONValue(event.document.root)
        changed["content"] = text(server.world.records.marker("it is not what was hashed"))
        await server.send([changed.serialized()], to: server.victims)
    }

    private func wrongSignature() async {
        guard let event = event(.message, nil, text("unsigned")) else { return }
        var changed = JSONValue(event.document.root)
        let signature = Base64.encode(Array(repeating: UInt8(chance.below(256)), count: 64), .standardUnpadded)
        changed["signatures"] = .object([server.name.text: .object([HostileServer.keyID: .string(signature)])])
        server.world.records.forbid(event.id, "its signature is wrong")
        await server.send([changed.serialized()], to: server.victims)
    }

    /// An event that is too large, with a good hash and signature: the id does not tell, as redaction takes what is too much.
    private func oversize() async {
        guard let event = event(.message, nil, text("large")) else { return }
        var large = JSONValue(event.document.root)
        large["content"] = ["body": .string(String(repeating: "x", count: 70_000))]
        guard let hash = Self.contentHash(of: large), let sealed = sealed(JSONValue(event.document.root), hash: hash)
        else { return }
        server.world.records.forbid(sealed.id, "it is too large")
        var value = JSONValue(sealed.document.root)
        value["content"] = large["content"]
        await server.send([value.serialized()], to: server.victims)
    }

    /// Takes power it does not have.
    private func usurp() async {
        let victim =
            room.state.values.filter { $0.type == .member && $0.sender.serverName != server.name }
            .map(\.sender.text).sorted().first ?? ""
        let attempts: [(EventType, String, JSONValue)] = [
            (.powerLevels, "", ["users": .object([user.text: 100])]),
            (.member, victim, ["membership": "ban"]),
            (.member, victim, ["membership": "leave"]),
            (.name, "", ["name": "mine"]),
            (.joinRules, "", ["join_rule": "invite"]),
            (.serverACL, "", ["allow": ["evil*"]]),
            (.tombstone, "", ["replacement_room": "!evil:evil.test", "body": "moved"]),
        ]
        guard let (type, key, content) = chance.pick(attempts), key != user.text,
            let event = event(type, key, content)
        else { return }
        server.world.records.forbid(event.id, "\(type) by one without power")
        await server.send([event.canonicalJSON], to: server.victims)
    }

    /// An event in the name of another server's user.
    private func forge() async {
        guard
            let other = room.state.values.filter({ $0.type == .member && $0.sender.serverName != server.name })
                .map(\.sender).sorted().first,
            let event = event(.message, nil, text("forged"), sender: other)
        else { return }
        server.world.records.forbid(event.id, "forged")
        await server.send([event.canonicalJSON], to: server.victims)
    }

    /// Auth events that have no business there.
    private func oddAuth() async {
        var auth = authEvents()
        let odd = room.events.values.filter { $0.type == .message || $0.type == .topic }.map(\.id).sorted()
        guard let extra = chance.pick(odd) else { return }
        auth.append(extra)
        guard let event = event(.message, nil, text("odd auth"), auth: auth) else { return }
        server.world.records.forbid(event.id, "it has auth events that it may not have")
        await server.send([event.canonicalJSON], to: server.victims)
    }

    private func secondBeginning() async {
        guard
            let event = event(.create, "", ["room_version": .string(room.version.text), "creator": .string(user.text)])
        else { return }
        server.world.records.forbid(event.id, "a second create event")
        await server.send([event.canonicalJSON], to: server.victims)
    }

    /// What is no event at all.
    private func garbage() async {
        let pdus = [
            "7", "[]", "{}", #"{"room_id":"\#(room.id.text)","type":5}"#, #"{"room_id":"!x","auth_events":{}}"#,
        ]
        let edus: [JSONValue] = [
            "nothing", ["edu_type": "m.typing", "content": ["room_id": .string(room.id.text), "user_id": 5]],
            ["edu_type": "m.receipt", "content": [room.id.text: ["m.read": [user.text: ["event_ids": [7]]]]]],
            ["edu_type": "m.presence", "content": ["push": [["user_id": .string(user.text), "presence": "asleep"]]]],
            ["edu_type": "m.device_list_update", "content": ["user_id": .string(user.text)]],
        ]
        await server.send(pdus.map { Array($0.utf8) }, edus: edus, to: server.victims)
    }

    /// Another server's event of late, with another content: whoever is cut off from that server gets it so first.
    private func relay() async {
        let late = room.order.suffix(10).compactMap { room.events[$0] }.filter { $0.sender.serverName != server.name }
        guard let event = chance.pick(late), let changed = server.tampered(event) else { return }
        await server.send([changed], to: server.victims.filter { $0 != event.sender.serverName })
    }

    /// An invite in the name of who made the room. It says to come from an invite to an address, for which the sender's server
    /// need not sign; but that says nothing, and what was hashed, and what redaction leaves, is an invite without.
    private func forgeInvite() async {
        let odd: [JSONValue] = ["odd", 5, [], true, .null, [:], ["signed": "odd"]]
        guard let admin = room.state[StateKey(.create, "")]?.sender, admin.serverName != server.name,
            let kind = chance.pick(odd), let guest = try? UserID("@\(chance.word(6)):\(server.name)"),
            let event = event(.member, guest.text, ["membership": "invite"], sender: admin)
        else { return }
        var changed = JSONValue(event.document.root)
        changed["content"] = ["membership": "invite", "third_party_invite": kind]
        // What is left of an object from version 11 on is part of what is signed.
        let hash = event.document.root["hashes"]?["sha256"]?.string ?? ""
        guard let forged = sealed(changed, hash: hash) else { return }
        server.world.records.forbid(forged.id, "an invite that its sender's server has not signed")
        await server.send([forged.canonicalJSON], to: server.victims)
    }

    /// Two events with one id. The first is told as part of an auth chain alone, so it has no place in any timeline; the other
    /// comes as news, here or in another room. Where it comes here, what follows it leads to the first as well: who has that
    /// may show it. From version 3 on an id is a hash, and this is `contradict`.
    private func giveIDTwice(in other: HostileServer.KnownRoom) async {
        guard room.version.rules.eventIDIsSent, other.version.rules.eventIDIsSent else { return await contradict() }
        let why = "it was told as part of an auth chain alone"
        let word = other.id == room.id ? "first" : server.world.records.marker(why)
        let content: JSONValue = ["membership": "join", "displayname": .string(word)]
        guard let first = event(.member, user.text, content) else { return }
        server.world.records.giveTwice(first.id)
        if other.id != room.id { server.world.records.forbid(first.id, in: room.id, why) }
        await tellAuthChain(endingIn: first)
        await server.world.sleep(chance.milliseconds(2_000...20_000))
        let there = Attack(server: server, room: other)
        guard let event = there.event(.message, nil, text("with another's id")) else { return }
        var second = JSONValue(event.document.root)
        second["event_id"] = .string(first.id.text)
        guard let hash = Self.contentHash(of: second), let sealed = sealed(second, hash: hash, other.version) else {
            return
        }
        await server.send([sealed.canonicalJSON], to: server.victims)
    }

    /// Beside the auth chain that is asked for, state events that nothing refers to.
    private func stray() async {
        guard let hidden = event(.member, user.text, ["membership": "join", "displayname": "hidden"]) else { return }
        let strays = (0..<3).compactMap { _ in event(.topic, chance.word(8), ["topic": "stray"]) }
        for stray in strays { server.world.records.refuse(stray.id, "nothing leads to it") }
        await tellAuthChain(endingIn: hidden, and: strays)
    }

    /// An event whose auth events are known only from who is asked for its auth chain.
    private func tellAuthChain(endingIn last: PDU, and more: [PDU] = []) async {
        var auth = authEvents().filter { room.events[$0].flatMap { StateKey(of: $0) } != StateKey(of: last) }
        auth.append(last.id)
        var known = room
        known.events[last.id] = last
        guard let event = Attack(server: server, room: known).event(.message, nil, text("led"), auth: auth) else {
            return
        }
        var chain: [EventID: PDU] = [:]
        var open = auth
        while let id = open.popLast() {
            guard chain[id] == nil, let pdu = known.events[id] else { continue }
            chain[id] = pdu
            open += pdu.authEvents
        }
        let told = chain.values.sorted { ($0.depth, $0.id) < ($1.depth, $1.id) } + more
        server.prepare("/event_auth/", event.id, HostileServer.body(told.map(\.canonicalJSON), "auth_chain"))
        await server.send([event.canonicalJSON], to: server.victims)
    }

    /// An event whose predecessors nobody can have, and a state before it that is one forged membership. An honest server sees
    /// through that: without a create event it is no state, and the membership is not signed by its user's server. Parts of a
    /// true state, and a state with some of it changed for other true events, cannot be seen through.
    private func forgeState() async {
        guard let lost = event(.message, nil, text("lost")),
            let other = room.state.values.filter({ $0.type == .member && $0.sender.serverName != server.name })
                .map(\.sender).min(),
            let forged = event(.member, other.text, ["membership": "join", "displayname": "forged"], sender: other)
        else { return }
        var known = room
        known.events[lost.id] = lost
        guard let event = Attack(server: server, room: known).event(.message, nil, text("told"), prev: [lost.id])
        else { return }
        server.world.records.forbid(forged.id, "forged, and told as part of a state")
        server.prepare("/event/", forged.id, HostileServer.body([forged.canonicalJSON], "pdus"))
        server.prepare("/state/", event.id, HostileServer.body([forged.canonicalJSON], "pdus"))
        let ids: JSONValue = ["pdu_ids": [.string(forged.id.text)], "auth_chain_ids": []]
        server.prepare("/state_ids/", event.id, ids.serialized())
        await server.send([event.canonicalJSON], to: server.victims)
    }

    // MARK: Making events

    /// What an event's hash must be, in base64.
    private static func contentHash(of event: JSONValue) -> String? {
        (try? JSONDocument(event.serialized())).map {
            Base64.encode(ContentHash.compute($0.root), .standardUnpadded)
        }
    }

    /// An event signed by this server, with a hash that it is given.
    private func sealed(_ event: JSONValue, hash: String, _ version: RoomVersion? = nil) -> PDU? {
        var value = event
        let version = version ?? room.version
        value["hashes"] = ["sha256": .string(hash)]
        guard let unsigned = try? PDU(parsing: value.serialized(), version: version) else { return nil }
        let signature = EventSignatures.signature(of: unsigned, by: server.key)
        value["signatures"] = .object([server.name.text: .object([HostileServer.keyID: .string(signature)])])
        return try? PDU(parsing: value.serialized(), version: version)
    }

    private func text(_ what: String = "hello") -> JSONValue {
        ["msgtype": "m.text", "body": .string("\(what) \(chance.word(6))")]
    }

    private func authEvents(of sender: UserID? = nil, _ type: EventType = .message, _ key: String? = nil) -> [EventID] {
        let draft = EventDraft(
            type: type, sender: sender ?? user, stateKey: key, content: ["membership": "join"], roomID: room.id)
        return authEventKeys(for: draft, rules: room.version.rules).compactMap { room.state[$0]?.id }
    }

    private func event(
        _ type: EventType, _ key: String?, _ content: JSONValue, sender: UserID? = nil, prev: [EventID]? = nil,
        auth: [EventID]? = nil, depth: Int64? = nil
    ) -> PDU? {
        let prev = prev ?? Array(room.extremities.sorted().prefix(10))
        let draft = EventDraft(
            type: type, sender: sender ?? user, stateKey: key, content: content, roomID: room.id)
        let auth = auth ?? authEventKeys(for: draft, rules: room.version.rules).compactMap { room.state[$0]?.id }
        let above = prev.compactMap { room.events[$0]?.depth }.max() ?? 0
        var hashes: [EventID: [UInt8]] = [:]
        if room.version.rules.eventIDIsSent {
            for id in prev + auth { hashes[id] = room.events[id]?.referenceHash ?? [] }
        }
        return try? draft.seal(
            version: room.version, prev: prev, auth: Array(auth.prefix(10)),
            depth: depth ?? min(above, room.version.rules.maximumDepth - 1) + 1,
            timestamp: server.world.clock.milliseconds, server: server.name, keyID: HostileServer.keyID,
            key: server.key, referenceHashes: hashes)
    }
}
