import Cryptography
import HTTPMessages
import HTTPTypes
import MatrixModel
import Testing

/// A user at a device, with keys made from its names.
struct Client {
    let server: DeviceServer
    let id: UserID
    let device: String
    let token: String

    /// - Parameter path: behind `/_matrix/client/v3/`, or a whole path.
    func call(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil) async throws -> Answer {
        try await server.handler.ask(
            method, path.hasPrefix("/") ? path : "/_matrix/client/v3/\(path)", token: token.isEmpty ? nil : token, body,
            authority: server.name.text)
    }

    /// Does a request that wants the password, first without, then with it.
    func confirmed(_ method: HTTPRequest.Method, _ path: String, _ body: [String: JSONValue]) async throws -> Answer {
        let challenge = try await call(method, path, .object(body))
        #expect(challenge.status == 401)
        var body = body
        body["auth"] = [
            "type": "m.login.password", "session": challenge["session"] ?? .null,
            "identifier": ["type": "m.id.user", "user": .string(id.text)], "password": "secret",
        ]
        return try await call(method, path, .object(body))
    }

    /// Logs in once more, at another device.
    func logIn(at device: String) async throws -> Client {
        let answer = try await call(
            .post, "login",
            [
                "type": "m.login.password", "identifier": ["type": "m.id.user", "user": .string(id.text)],
                "password": "secret", "device_id": .string(device),
            ])
        return Client(server: server, id: id, device: device, token: answer["access_token"]?.string ?? "none")
    }

    // MARK: Keys

    static func key(_ name: String) throws -> Ed25519.SigningKey {
        try Ed25519.SigningKey(seed: SHA256.hash(Array(name.utf8)))
    }

    static func text(_ key: Ed25519.SigningKey) -> String { Base64.encode(key.publicKey.bytes, .standardUnpadded) }

    /// The device keys object, signed by the device.
    func deviceKeys() throws -> JSONValue {
        let key = try Self.key("\(id) \(device)")
        let object: JSONValue = [
            "user_id": .string(id.text), "device_id": .string(device), "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
            "keys": .object(["ed25519:\(device)": .string(Self.text(key)), "curve25519:\(device)": "abc"]),
        ]
        return SignedJSON.sign(object, as: id.text, keyID: "ed25519:\(device)", with: key)
    }

    @discardableResult
    func uploadDeviceKeys() async throws -> Answer {
        try await call(.post, "keys/upload", ["device_keys": deviceKeys()])
    }

    func oneTimeKey(_ text: String, fallback: Bool = false) throws -> JSONValue {
        var object: JSONValue = ["key": .string(text)]
        if fallback { object["fallback"] = true }
        return SignedJSON.sign(
            object, as: id.text, keyID: "ed25519:\(device)", with: try Self.key("\(id) \(device)"))
    }

    func upload(_ names: String...) async throws -> Answer {
        var keys: [String: JSONValue] = [:]
        for name in names { keys["signed_curve25519:\(name)"] = try oneTimeKey(name) }
        return try await call(.post, "keys/upload", ["one_time_keys": .object(keys)])
    }

    /// Claims a key of another device. Gives its id and the object.
    func claim(_ other: Client) async throws -> (id: String, key: JSONValue)? {
        let answer = try await call(
            .post, "keys/claim",
            ["one_time_keys": .object([other.id.text: .object([other.device: "signed_curve25519"])])])
        let found = answer["one_time_keys"]?[other.id.text]?[other.device]?.members.first
        return found.map { ($0.key, $0.value) }
    }

    func query(_ users: UserID...) async throws -> Answer {
        try await call(
            .post, "keys/query",
            ["device_keys": .object(Dictionary(uniqueKeysWithValues: users.map { ($0.text, [] as JSONValue) }))])
    }

    /// A cross-signing key of this user, signed by the master key unless it is one.
    func crossSigningKey(_ usage: String, _ round: Int = 0, master: Int? = nil) throws -> JSONValue {
        let text = try Self.text(Self.key("\(id) \(usage) \(round)"))
        let object: JSONValue = [
            "user_id": .string(id.text), "usage": [.string(usage)],
            "keys": .object(["ed25519:\(text)": .string(text)]),
        ]
        if usage == "master" { return object }
        return try sign(object, with: "master", master ?? round)
    }

    func sign(_ object: JSONValue, with usage: String, _ round: Int = 0) throws -> JSONValue {
        let key = try Self.key("\(id) \(usage) \(round)")
        return SignedJSON.sign(object, as: id.text, keyID: "ed25519:\(Self.text(key))", with: key)
    }

    func crossSigningKeys(_ round: Int = 0) throws -> [String: JSONValue] {
        [
            "master_key": try crossSigningKey("master", round),
            "self_signing_key": try crossSigningKey("self_signing", round),
            "user_signing_key": try crossSigningKey("user_signing", round),
        ]
    }

    func crossSign() async throws {
        let answer = try await call(.post, "keys/device_signing/upload", .object(crossSigningKeys()))
        #expect(answer.status == 200)
    }

    func masterKeyText(_ round: Int = 0) throws -> String { try Self.text(Self.key("\(id) master \(round)")) }

    func changes(from: String, to: String? = nil) async throws -> (changed: [String], left: [String]) {
        let end: String
        if let to { end = to } else { end = try await server.now() }
        let answer = try await call(.get, "keys/changes?from=\(from)&to=\(end)")
        return (
            answer["changed"]?.elements.compactMap(\.string) ?? ["?"],
            answer["left"]?.elements.compactMap(\.string) ?? ["?"]
        )
    }
}
