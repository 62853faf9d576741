import Cryptography
import Federation
import HTTPMessages
import HTTPTypes
import Homeserver
import MatrixAPI
import MatrixModel
import Synchronization
import Testing

/// A server played by the test: it has a name and a key, signs what it is told to, right or wrong, and answers what it is
/// told to.
final class HandmadeServer: HTTPHandler {
    let name: ServerName
    let key: Ed25519.SigningKey
    static let keyID = "ed25519:h"
    private let network: LoopNetwork
    private let clock = QuickClock()
    private let answers = Mutex<[(prefix: String, answer: JSONValue, refusals: Int)]>([])
    private let made = Mutex<[(part: String, make: @Sendable (JSONView) throws -> JSONValue)]>([])

    init(_ name: String, on network: LoopNetwork) throws {
        self.name = try ServerName(name)
        self.network = network
        key = try Ed25519.SigningKey(seed: SHA256.hash(Array("handmade \(name)".utf8)))
        network.connect(name, self)
    }

    /// What requests whose path holds `part` are answered from now on, after so many that get a 404; the newest rule counts.
    func answer(_ part: String, _ answer: JSONValue, refusing refusals: Int = 0) {
        answers.withLock { $0.insert((part, answer, refusals), at: 0) }
    }

    /// What requests whose path holds `part` are answered from now on, made of their bodies.
    func answer(_ part: String, by make: @escaping @Sendable (JSONView) throws -> JSONValue) {
        made.withLock { $0.insert((part, make), at: 0) }
    }

    private func answer(to path: String) -> JSONValue? {
        answers.withLock { answers in
            guard let place = answers.firstIndex(where: { path.contains($0.prefix) }) else { return nil }
            guard answers[place].refusals == 0 else {
                answers[place].refusals -= 1
                return nil
            }
            return answers[place].answer
        }
    }

    func handle(_ request: IncomingRequest) async -> OutgoingResponse {
        let path = request.head.path ?? ""
        if path == "/_matrix/key/v2/server" { return Self.response(keys()) }
        if let make = made.withLock({ $0.first { path.contains($0.part) }?.make }),
            let body = try? await request.body.collect(upTo: 1 << 20), let document = try? JSONDocument(body),
            let answer = try? make(document.root)
        {
            return Self.response(answer)
        }
        if let answer = answer(to: path) { return Self.response(answer) }
        if path.contains("/send/") { return Self.response(["pdus": [:]]) }
        return OutgoingResponse(
            status: .notFound, fields: [:], body: HTTPBody(Array(#"{"errcode":"M_UNRECOGNIZED","error":""}"#.utf8)))
    }

    private static func response(_ value: JSONValue) -> OutgoingResponse {
        OutgoingResponse(status: .ok, fields: [.contentType: "application/json"], body: HTTPBody(value.serialized()))
    }

    private func keys() -> JSONValue {
        let answer: JSONValue = [
            "server_name": .string(name.text), "valid_until_ts": .integer(clock.now() + 86_400_000),
            "verify_keys": [Self.keyID: ["key": .string(Base64.encode(key.publicKey.bytes, .standardUnpadded))]],
            "old_verify_keys": [:],
        ]
        return SignedJSON.sign(answer, as: name, keyID: Self.keyID, with: key)
    }

    /// A signed request to a homeserver; the answer whatever its status.
    func ask(
        _ server: TestHomeserver, _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil,
        bytes: [UInt8]? = nil
    ) async throws -> (status: Int, body: JSONView) {
        let bytes = bytes ?? body?.serialized() ?? []
        let content = bytes.isEmpty ? nil : try JSONDocument(bytes).root
        let signature = try RequestSignature(
            signing: method.rawValue, path, content: content, from: name, to: server.name, keyID: Self.keyID, key: key)
        let response = try await network.send(
            ClientRequest(
                method: method, host: server.name.text, pathAndQuery: path, fields: [.authorization: signature.header],
                body: bytes, maximumResponseBytes: 64 << 20))
        return (response.status, try JSONDocument(response.body).root)
    }

    /// An event of a user of this server's, after `prev`.
    func event(
        _ type: String, by sender: UserID, stateKey: String? = nil, _ content: JSONValue, in room: RoomID,
        version: RoomVersion, after prev: [PDU], auth: [PDU], depth: Int64? = nil, redacts: EventID? = nil
    ) throws -> PDU {
        var hashes: [EventID: [UInt8]] = [:]
        for event in prev + auth { hashes[event.id] = event.referenceHash }
        return try EventDraft(
            type: EventType(type), sender: sender, stateKey: stateKey, content: content, roomID: room,
            redacts: redacts
        ).seal(
            version: version, prev: prev.map(\.id), auth: auth.map(\.id),
            depth: depth ?? ((prev.map(\.depth).max() ?? 0) + 1), timestamp: clock.now(), server: name,
            keyID: Self.keyID, key: key, referenceHashes: hashes)
    }

    /// An event with something of it changed, signed by this server alone.
    /// - Parameter hashing: whether the content hash is made anew too.
    func altered(_ event: PDU, hashing: Bool = true, _ change: (inout JSONValue) -> Void) throws -> PDU {
        var json = JSONValue(event.document.root)
        json["signatures"] = [:]
        change(&json)
        if hashing {
            let hash = ContentHash.compute(try PDU(parsing: json.serialized(), version: event.version).document.root)
            json["hashes"] = ["sha256": .string(Base64.encode(hash, .standardUnpadded))]
        }
        return try PDU(parsing: json.serialized(), version: event.version)
            .signed(by: name, keyID: Self.keyID, key: key)
    }

    /// Joins a user of this server's by the handshake. Gives the join and the room's state before it.
    func join(_ user: UserID, _ room: RoomID, on server: TestHomeserver) async throws -> (join: PDU, state: [PDU]) {
        let (join, sent) = try await sendJoin(user, room, on: server)
        #expect(sent.status == 200, "\(JSONValue(sent.body))")
        let state = try (sent.body["state"]?.elements ?? []).map { try PDU(parsing: $0, version: join.version) }
        return (join, state)
    }

    /// The handshake of a join. Gives the join and what `send_join` answered.
    func sendJoin(
        _ user: UserID, _ room: RoomID, on server: TestHomeserver, query: String = ""
    ) async throws -> (join: PDU, sent: (status: Int, body: JSONView)) {
        let versions = RoomVersion.all.map { "ver=\($0.text)" }.joined(separator: "&")
        let made = try await ask(
            server, .get, "/_matrix/federation/v1/make_join/\(percent(room.text))/\(percent(user.text))?\(versions)")
        let version = try #require(RoomVersion(made.body["room_version"]?.string ?? ""))
        let template = try #require(made.body["event"])
        var hashes: [EventID: [UInt8]] = [:]
        func ids(_ key: String) throws -> [EventID] {
            try (template[key]?.elements ?? []).map { reference in
                let id = try EventID(reference.string ?? reference.elements.first?.string ?? "")
                hashes[id] = reference.elements.last?["sha256"]?.string.flatMap { Base64.decode($0) }
                return id
            }
        }
        let (prev, auth) = (try ids("prev_events"), try ids("auth_events"))
        let join = try EventDraft(
            type: .member, sender: user, stateKey: user.text, content: ["membership": "join"], roomID: room
        ).seal(
            version: version, prev: prev, auth: auth, depth: template["depth"]?.integer ?? 1, timestamp: clock.now(),
            server: name, keyID: Self.keyID, key: key, referenceHashes: hashes)
        let sent = try await ask(
            server, .put, "/_matrix/federation/v2/send_join/\(percent(room.text))/\(percent(join.id.text))\(query)",
            bytes: join.canonicalJSON)
        return (join, sent)
    }

    /// Sends events in a transaction. Gives the answer.
    @discardableResult
    func send(
        _ pdus: [[UInt8]], edus: [JSONValue] = [], to server: TestHomeserver, transaction: String? = nil
    ) async throws -> (status: Int, body: JSONView) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("edus")
        writer.value(JSONValue.array(edus))
        writer.key("origin")
        writer.string(name.text)
        writer.key("origin_server_ts")
        writer.integer(1)
        writer.key("pdus")
        writer.beginArray()
        for pdu in pdus { writer.raw(pdu) }
        writer.endArray()
        writer.endObject()
        let id = transaction ?? SystemRandomSource().token(8)
        return try await ask(server, .put, "/_matrix/federation/v1/send/\(id)", bytes: writer.bytes)
    }
}
