import Cryptography
import MatrixModel

/// Events of a server called `one.test`.
enum TestEvents {
    static let keyID = "ed25519:1"

    static func server(_ text: String = "one.test") throws -> ServerName { try ServerName(text) }

    static func key(_ seed: UInt8 = 1) throws -> Ed25519.SigningKey {
        try Ed25519.SigningKey(seed: [UInt8](repeating: seed, count: 32))
    }

    static func create(_ version: RoomVersion, content: JSONValue? = nil) throws -> PDU {
        let alice = try UserID("@alice:one.test")
        let draft = EventDraft(
            type: .create, sender: alice, stateKey: "",
            content: content ?? ["room_version": .string(version.text), "creator": .string(alice.text)],
            roomID: version.rules.roomIDIsCreateEventHash ? nil : try RoomID("!room:one.test"))
        return try draft.seal(
            version: version, prev: [], auth: [], depth: 1, timestamp: 1_000, server: try server(), keyID: keyID,
            key: try key())
    }

    static func message(
        _ version: RoomVersion, type: EventType = .message, stateKey: String? = nil,
        content: JSONValue = ["body": "hello", "msgtype": "m.text"], redacts: EventID? = nil
    ) throws -> PDU {
        let create = try create(version)
        let draft = EventDraft(
            type: type, sender: try UserID("@alice:one.test"), stateKey: stateKey, content: content,
            roomID: create.roomID, redacts: redacts)
        return try draft.seal(
            version: version, prev: [create.id], auth: version.rules.authorization.createIsAuthEvent ? [create.id] : [],
            depth: 2, timestamp: 2_000, server: try server(), keyID: keyID, key: try key(),
            referenceHashes: [create.id: create.referenceHash])
    }

    /// A message as a JSON value, with changes; its hash no longer matches, which is not what the format asks for.
    static func altered(
        _ version: RoomVersion, _ change: (inout JSONValue) -> Void
    ) throws -> [UInt8] {
        var value = JSONValue(try message(version).document.root)
        change(&value)
        return value.serialized()
    }
}
