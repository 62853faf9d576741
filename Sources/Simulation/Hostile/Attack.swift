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
        switch chance.below(17) {
        case 0, 1: await talk()
        case 2: await fork()
        case 3: await staleAuth()
        case 4: await wrongHash()
        case 5: await wrongSignature()
        case 6: await oversize()
        case 7: await contradict()
        case 8: await usurp()
        case 9: await forge()
        case 10: await dangle()
        case 11: await oddAuth()
        case 12: await depths()
        case 13: await secondBeginning()
        case 14: await reuseTransaction()
        case 15: await garbage()
        default: await comeAndGo()
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
        changed["content"] = text("changed")
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

    private func oversize() async {
        // Sealing refuses what is too large, so it is made larger afterwards; then the id is another, too.
        guard let event = event(.message, nil, text("large")) else { return }
        var changed = JSONValue(event.document.root)
        changed["content"] = ["body": .string(String(repeating: "x", count: 70_000))]
        await server.send([changed.serialized()], to: server.victims)
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

    // MARK: Making events

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
