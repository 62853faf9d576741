import Cryptography
import MatrixModel
import Ratchet

@testable import ClientEncryption

private let key = [UInt8](repeating: 3, count: 32)
private let owner = try? UserID("@a:test")
private let device = try? DeviceID("D")
private let backupKey = try? BackupKey(key)

/// The bytes of a scanned QR code.
func fuzzQRPayload(_ bytes: [UInt8]) {
    guard let payload = try? QRPayload(bytes) else { return }
    hold(payload.bytes == bytes, "a code is written as it was read")
    hold(
        payload.first.count == 32 && payload.second.count == 32 && payload.secret.count >= 8,
        "a code has two keys and a secret")
}

/// A bundle of room keys, as who invited us has made it.
func fuzzKeyBundle(_ bytes: [UInt8]) {
    guard let document = try? JSONDocument(bytes) else { return }
    for view in document.root["room_keys"]?.elements ?? [] {
        guard let imported = try? ImportedRoomKey(view, from: .bundle, vouchedBy: nil) else { continue }
        check(imported, view)
    }
}

private func check(_ imported: ImportedRoomKey, _ view: JSONView) {
    hold(imported.session.id == view["session_id"]?.string, "a key has its session's name")
    hold(imported.origin.ed25519.count <= 64, "what is only said is bounded")
    hold(Base64.decode(imported.origin.curve25519)?.count == 32, "a sender's key is one")
}

/// A session of the online backup. The first byte says whether the rest is what the server keeps, or what was sealed in it.
func fuzzBackupSession(_ bytes: [UInt8]) {
    guard let first = bytes.first, let backupKey else { return }
    let rest = Array(bytes.dropFirst())
    let (room, data, session): (String, [UInt8], String)
    if first & 1 == 0 {
        (room, data, session) = ("!r:test", rest, "x")
    } else {
        guard let sealed = try? BackupKey.seal(rest, for: backupKey.publicKey, random: SystemRandomSource()) else {
            return
        }
        let content: JSONValue = [
            "session_data": [
                "ephemeral": .string(Base64.encode(sealed.ephemeral)), "mac": .string(Base64.encode(sealed.mac)),
                "ciphertext": .string(Base64.encode(sealed.ciphertext)),
            ]
        ]
        let inside = (try? JSONDocument(rest))?.root["session_key"]?.string.flatMap { Base64.decode($0) }
        let id = inside.flatMap { try? InboundGroupSession(exportedKey: $0).id }
        (room, data, session) = ("!r:test", content.serialized(), id ?? "x")
    }
    guard let view = try? JSONDocument(data).root,
        let opened = BackedUpSession(view, room: room, session: session, key: backupKey)
    else { return }
    hold(opened.exported["room_id"]?.string == room, "a backup cannot move a key to another room")
    if let imported = try? ImportedRoomKey(opened.exported, from: .backup, vouchedBy: nil) {
        check(imported, opened.exported)
        hold(imported.room.text == room, "a backup cannot move a key to another room")
    }
}

/// Keys that a server shows: of a device, or of an identity.
func fuzzShownKeys(_ bytes: [UInt8]) {
    guard let document = try? JSONDocument(bytes), let owner, let device else { return }
    if let keys = try? DeviceKeys(document.root, of: owner, device: device) {
        hold(keys.user == owner && keys.device == device, "keys are of whom they were asked of")
        hold((keys.displayName?.count ?? 0) <= 256, "a name is bounded")
    }
    for usage in [CrossSigningKey.Usage.master, .selfSigning, .userSigning] {
        guard let key = try? CrossSigningKey(document.root, of: owner, usage: usage) else { continue }
        hold((try? CrossSigningKey(key.text, usage: usage)) != nil, "a key is read from its text")
        _ = try? CrossSigningKey(document.root, of: owner, usage: usage, signedBy: key)
    }
    if let file = try? EncryptedFile(document.root) {
        hold(file.uri.text.hasPrefix("mxc://"), "a file is in the media repository")
        var opening = file.opening()
        _ = try? opening.update(bytes)
        hold((try? opening.finish()) == nil, "a file has the hash that its event says")
    }
}

/// Genuine ones, by target.
func clientKeySeeds() throws -> [String: [[UInt8]]] {
    guard let owner, let device, let backupKey else { return [:] }
    let random = SystemRandomSource()
    let group = OutboundGroupSession(random: random)
    let exported: JSONValue = [
        "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!r:test", "session_id": .string(group.id),
        "session_key": .string(Base64.encode(group.inbound.exportedKey)), "sender_key": .string(Base64.encode(key)),
        "sender_claimed_keys": ["ed25519": .string(Base64.encode(key))], "shared_history": true,
    ]
    let bundle: JSONValue = [
        "room_keys": [exported],
        "withheld": [["room_id": "!r:test", "session_id": "s", "code": "m.history_not_shared", "reason": "r"]],
    ]
    let sealed = try BackupKey.seal(exported.serialized(), for: backupKey.publicKey, random: random)
    let kept: JSONValue = [
        "first_message_index": 0, "forwarded_count": 0, "is_verified": true,
        "session_data": [
            "ephemeral": .string(Base64.encode(sealed.ephemeral)), "mac": .string(Base64.encode(sealed.mac)),
            "ciphertext": .string(Base64.encode(sealed.ciphertext)),
        ],
    ]
    let machine = EncryptionMachine(user: owner, device: device, key: try StoreKey(key), random: random, now: { 0 })
    let master = Ed25519.SigningKey.generate(random)
    let id = "ed25519:\(Base64.encode(master.publicKey.bytes))"
    let identity: JSONValue = [
        "user_id": .string(owner.text), "usage": ["master"],
        "keys": .object([id: .string(Base64.encode(master.publicKey.bytes))]),
    ]
    let file: JSONValue = [
        "v": "v2", "url": "mxc://test/a", "iv": "AAAAAAAAAAAAAAAAAAAAAA",
        "hashes": ["sha256": .string(Base64.encode(key))],
        "key": [
            "kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"],
            "k": .string(Base64.encode(key, .urlSafe)),
        ],
    ]
    return [
        "qr-payload": (0..<3).compactMap { number in
            QRPayload.Mode(rawValue: number).map {
                QRPayload(mode: $0, transaction: "$event", first: key, second: key, secret: Array(key.prefix(16))).bytes
            }
        },
        "key-bundle": [bundle.serialized()],
        "backup-session": [[0] + kept.serialized(), [1] + exported.serialized()],
        "shown-keys": [
            machine.deviceKeys(OlmAccount(random: random)).serialized(),
            SignedJSON.sign(identity, as: owner.text, keyID: id, with: master).serialized(), file.serialized(),
        ],
    ]
}
