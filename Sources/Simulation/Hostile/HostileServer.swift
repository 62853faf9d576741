internal import Cryptography
internal import FedchatTesting
internal import Federation
internal import HTTPMessages
internal import HTTPTypes
internal import MatrixModel
internal import MatrixRooms
internal import Synchronization

/// A server that means harm. It has a name and a key, joins rooms as others do, and then sends what is wrong in some way, to
/// some of the others, and answers lies, or nothing, when asked.
///
/// It never tells an invented state before an event (`/state_ids`) that an honest server could take for one: whoever asks only
/// the liar must believe it, so honest servers may then differ, whatever they do.
final class HostileServer: RequestTaking {
    /// A room as far as it was seen.
    struct KnownRoom: Sendable {
        let id: RoomID
        let version: RoomVersion
        var events: [EventID: PDU] = [:]
        /// In the order they came.
        var order: [EventID] = []
        var extremities: Set<EventID> = []
        var state: [StateKey: PDU] = [:]

        mutating func take(_ pdu: PDU) {
            guard events.updateValue(pdu, forKey: pdu.id) == nil else { return }
            order.append(pdu.id)
            extremities.subtract(pdu.prevEvents)
            extremities.insert(pdu.id)
            if let key = StateKey(of: pdu) { state[key] = pdu }
        }
    }

    struct State {
        var rooms: [RoomID: KnownRoom] = [:]
        var wanted: [RoomID] = []
        var isActive = false
        var isOver = false
        var transactions = 0
        /// What it has made up its mind to answer.
        var prepared: [Prepared] = []
    }

    /// An answer to who asks for something about an event.
    struct Prepared: Sendable {
        /// A part of the path.
        let endpoint: String
        let event: EventID
        let body: [UInt8]
    }

    /// How many of a thousand events of others it changes when it is asked for them.
    private static let tampering = 150

    static let keyID = "ed25519:h"

    let name: ServerName
    let user: UserID
    let world: World
    let victims: [ServerName]
    let chance: Chance
    let key: Ed25519.SigningKey
    let state = Mutex(State())

    init(_ name: ServerName, in world: World, victims: [ServerName], chance: Chance) throws {
        self.name = name
        self.world = world
        self.victims = victims
        self.chance = chance
        user = try UserID("@mallory:\(name)")
        key = try Ed25519.SigningKey(seed: SHA256.hash(Array("\(name) \(chance.next())".utf8)))
        world.network.connect(name.text, self)
    }

    func begin(_ rooms: [RoomID]) {
        state.withLock { state in
            state.wanted = rooms
            state.isActive = true
        }
    }

    func pause() { state.withLock { $0.isActive = false } }
    func stop() { state.withLock { $0.isOver = true } }

    func run() async {
        while true {
            await world.sleep(chance.milliseconds(1_000...8_000))
            let (isOver, isActive, rooms) = state.withLock { ($0.isOver, $0.isActive, $0.wanted) }
            if isOver { return }
            guard isActive, let room = chance.pick(rooms) else { continue }
            if let known = state.withLock({ $0.rooms[room] }), !chance.happens(60) {
                await Attack(server: self, room: known).run()
            } else {
                await join(room)
            }
        }
    }

    // MARK: Taking part

    private func join(_ room: RoomID) async {
        guard let victim = chance.pick(victims) else { return }
        let versions = RoomVersion.all.map { "ver=\($0.text)" }.joined(separator: "&")
        let path =
            "/_matrix/federation/v1/make_join/\(PercentEncoding.encode(room.text))/\(PercentEncoding.encode(user.text))?\(versions)"
        guard let made = await ask(victim, .get, path), let text = made["room_version"]?.string,
            let version = RoomVersion(text), let template = made["event"]
        else { return }
        var hashes: [EventID: [UInt8]] = [:]
        func ids(_ key: String) -> [EventID] {
            (template[key]?.elements ?? []).compactMap { reference in
                guard let id = try? EventID(reference.string ?? reference.elements.first?.string ?? "") else {
                    return nil
                }
                hashes[id] = reference.elements.last?["sha256"]?.string.flatMap { Base64.decode($0) }
                return id
            }
        }
        let (prev, auth) = (ids("prev_events"), ids("auth_events"))
        let draft = EventDraft(
            type: .member, sender: user, stateKey: user.text, content: ["membership": "join"], roomID: room)
        guard
            let join = try? draft.seal(
                version: version, prev: prev, auth: auth, depth: template["depth"]?.integer ?? 1,
                timestamp: world.clock.milliseconds, server: name, keyID: Self.keyID, key: key,
                referenceHashes: hashes)
        else { return }
        let target =
            "/_matrix/federation/v2/send_join/\(PercentEncoding.encode(room.text))/\(PercentEncoding.encode(join.id.text))"
        guard let sent = await ask(victim, .put, target, join.canonicalJSON) else { return }
        var known = KnownRoom(id: room, version: version)
        let members = (sent["state"]?.elements ?? []) + (sent["auth_chain"]?.elements ?? [])
        for entry in members {
            guard let pdu = try? PDU(parsing: entry, version: version) else { continue }
            known.events[pdu.id] = pdu
        }
        for entry in sent["state"]?.elements ?? [] {
            if let pdu = try? PDU(parsing: entry, version: version), let key = StateKey(of: pdu) {
                known.state[key] = pdu
            }
        }
        known.take(join)
        known.extremities = [join.id]
        world.records.count { $0.byzantine += 1 }
        let joined = known
        state.withLock { $0.rooms[room] = joined }
    }

    func took(_ pdu: PDU) { state.withLock { $0.rooms[pdu.roomID]?.take(pdu) } }

    /// A signed request; the body of a good answer.
    func ask(
        _ server: ServerName, _ method: HTTPRequest.Method, _ path: String, _ body: [UInt8] = []
    ) async -> JSONView? {
        let content = body.isEmpty ? nil : (try? JSONDocument(body))?.root
        guard
            let signature = try? RequestSignature(
                signing: method.rawValue, path, content: content, from: name, to: server, keyID: Self.keyID, key: key),
            let response = try? await world.network.send(
                ClientRequest(
                    method: method, host: server.text, pathAndQuery: path, fields: [.authorization: signature.header],
                    body: body, maximumResponseBytes: 64 << 20), from: name.text),
            response.status == 200
        else { return nil }
        return (try? JSONDocument(response.body))?.root
    }

    /// Sends PDUs as they are.
    func send(_ pdus: [[UInt8]], edus: [JSONValue] = [], to victims: [ServerName], transaction: String? = nil) async {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("edus")
        writer.value(JSONValue.array(edus))
        writer.key("origin")
        writer.string(name.text)
        writer.key("origin_server_ts")
        writer.integer(world.clock.milliseconds)
        writer.key("pdus")
        writer.beginArray()
        for pdu in pdus { writer.raw(pdu) }
        writer.endArray()
        writer.endObject()
        for victim in victims {
            world.records.count { $0.byzantine += 1 }
            let number = state.withLock { state in
                state.transactions += 1
                return state.transactions
            }
            _ = await ask(victim, .put, "/_matrix/federation/v1/send/\(transaction ?? "x\(number)")", writer.bytes)
        }
    }

    // MARK: Being asked

    func take(_ request: IncomingRequest) async -> OutgoingResponse? {
        let path = request.target.path
        if path == "/_matrix/key/v2/server" { return Self.response(keys()) }
        guard let body = try? await request.body.collect(upTo: 16 << 20) else { return nil }
        if path.hasPrefix("/_matrix/federation/v1/send/") {
            learn(body)
            return Self.response(["pdus": [:]])
        }
        let asked = PercentEncoding.decode(request.head.path ?? "") ?? path
        if let prepared = state.withLock({ state in
            state.prepared.last { asked.contains($0.endpoint) && asked.contains($0.event.text) }
        }) {
            return OutgoingResponse(
                status: .ok, fields: [.contentType: "application/json"], body: HTTPBody(prepared.body))
        }
        // Whoever asks this server for something gets it, a lie, or nothing.
        switch chance.below(6) {
        case 0: return nil
        case 1:
            return Self.response(["pdus": [["type": 1]], "events": [[], 7], "pdu_ids": "none", "auth_chain": [[:]]])
        case 2:
            return OutgoingResponse(
                status: .ok, fields: [.contentType: "application/json"], body: HTTPBody("{\"pdus\":["))
        case 3:
            await world.sleep(chance.milliseconds(1_000...90_000))
            return Self.response(["pdus": .array([]), "events": .array([])])
        default: return answer(path, body)
        }
    }

    /// Events it knows, true ones, but never a state.
    private func answer(_ path: String, _ body: [UInt8]) -> OutgoingResponse {
        let rooms = state.withLock { $0.rooms }
        let text = PercentEncoding.decode(path) ?? path
        if text.contains("/get_missing_events/") || text.contains("/backfill/") {
            let room = rooms.values.first { text.contains($0.id.text) }
            let events = room.map { room in room.order.suffix(20).compactMap { room.events[$0] } } ?? []
            return Self.response(Self.body(events.map(passedOn), text.contains("/backfill/") ? "pdus" : "events"))
        }
        if text.contains("/event/") {
            for room in rooms.values {
                for (id, pdu) in room.events where text.hasSuffix(id.text) {
                    return Self.response(Self.body([passedOn(pdu)], "pdus"))
                }
            }
        }
        return OutgoingResponse(
            status: .notFound, fields: [:], body: HTTPBody(#"{"errcode":"M_NOT_FOUND","error":"no"}"#))
    }

    private func learn(_ body: [UInt8]) {
        guard let document = try? JSONDocument(body) else { return }
        for entry in document.root["pdus"]?.elements ?? [] {
            guard let room = entry["room_id"]?.string.flatMap({ try? RoomID($0) }),
                let version = state.withLock({ $0.rooms[room]?.version }),
                let pdu = try? PDU(parsing: entry, version: version)
            else { continue }
            took(pdu)
        }
    }

    private func keys() -> JSONValue {
        let answer: JSONValue = [
            "server_name": .string(name.text), "valid_until_ts": .integer(world.clock.milliseconds + 86_400_000),
            "verify_keys": [Self.keyID: ["key": .string(Base64.encode(key.publicKey.bytes, .standardUnpadded))]],
            "old_verify_keys": [:],
        ]
        return SignedJSON.sign(answer, as: name, keyID: Self.keyID, with: key)
    }

    private static func response(_ value: JSONValue) -> OutgoingResponse { response(value.serialized()) }

    private static func response(_ body: [UInt8]) -> OutgoingResponse {
        OutgoingResponse(status: .ok, fields: [.contentType: "application/json"], body: HTTPBody(body))
    }

    /// Lets whoever asks for something about an event be answered this.
    func prepare(_ endpoint: String, _ event: EventID, _ body: [UInt8]) {
        state.withLock { $0.prepared.append(Prepared(endpoint: endpoint, event: event, body: body)) }
    }

    /// An object with a list of events under a key.
    static func body(_ events: [[UInt8]], _ key: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key(key)
        writer.beginArray()
        for event in events { writer.raw(event) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// The rooms that it is in, as far as it saw them.
    var rooms: [KnownRoom] { state.withLock { $0.rooms }.values.sorted { $0.id < $1.id } }

    // MARK: Changing what others said

    /// An event as it tells who asks for it: some of others' are changed.
    private func passedOn(_ pdu: PDU) -> [UInt8] {
        guard world.plan.attack ?? .tamperedRelay == .tamperedRelay, chance.happens(Self.tampering),
            let changed = tampered(pdu)
        else { return pdu.canonicalJSON }
        return changed
    }

    /// Another server's event with another content, and the hash and signatures that it had. Only such of which the rest of the
    /// room does not hang on what is lost with the content; nil for others. Not redactions, either: redacted, they no longer
    /// say of what.
    func tampered(_ pdu: PDU) -> [UInt8]? {
        let types: [EventType] = [.message, .topic, .name, .member]
        guard pdu.sender.serverName != name, types.contains(pdu.type), ContentHash.matches(pdu) else { return nil }
        let word = world.records.marker("a hostile server put it into another's event")
        var changed = JSONValue(pdu.document.root)
        // What the signature covers stays.
        var content: JSONValue = pdu.type == .member ? changed["content"] ?? [:] : ["msgtype": "m.text"]
        for key in ["body", "topic", "name", "displayname"] { content[key] = .string(word) }
        changed["content"] = content
        world.records.tamper(with: pdu)
        return changed.serialized()
    }
}
