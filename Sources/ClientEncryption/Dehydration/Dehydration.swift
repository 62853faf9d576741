internal import Cryptography
public import MatrixAPI
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// A dehydrated device: one that nobody is logged in at, and that takes room keys for the user's next device. Off unless the
/// user makes one.
/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>
extension EncryptionMachine {
    private static let dehydrationAlgorithm = "org.matrix.msc3814.v2"

    /// The upload of a new one, signed by our identity. Its key is the secret `org.matrix.msc3814`: put it into secret
    /// storage before. Throws `cannotSign` without our self-signing key.
    public func dehydration(in connection: any SQLConnection) throws -> APICall {
        guard let signer = try signingKey(.selfSigning, in: connection) else { throw EncryptionError.cannotSign }
        let key = try secret(.dehydratedDevice, in: connection) ?? random.bytes(32)
        try keep(key, as: .dehydratedDevice, in: connection)
        var account = OlmAccount(random: random)
        account.generateFallbackKey(random: random)
        account.generateOneTimeKeys(OlmAccount.maximumOneTimeKeys / 2, random: random)
        let id = Base64.encode(account.curve25519Key.bytes)
        let sealed = try EncryptionError.wrapping { () throws(RatchetError) in
            try DehydratedDevice(account, key: SecretBytes(key, placement: .heap), random: random)
        }
        func signed(_ value: JSONValue) -> JSONValue {
            SignedJSON.sign(value, as: user.text, keyID: "ed25519:\(id)", with: account.ed25519SigningKey)
        }
        let keys: JSONValue = [
            "user_id": .string(user.text), "device_id": .string(id), "dehydrated": true,
            "algorithms": [.string(Algorithm.olm), .string(Algorithm.megolm)],
            "keys": [
                "curve25519:\(id)": .string(Base64.encode(account.curve25519Key.bytes)),
                "ed25519:\(id)": .string(Base64.encode(account.ed25519Key.bytes)),
            ],
        ]
        let oneTimeKeys = account.unpublishedOneTimeKeys.map {
            ("signed_curve25519:\($0.id)", signed(["key": .string(Base64.encode($0.publicKey.bytes))]))
        }
        var body: JSONValue = [
            "device_id": .string(id), "initial_device_display_name": "Dehydrated device",
            "device_data": [
                "algorithm": .string(Self.dehydrationAlgorithm), "device_pickle": .string(Base64.encode(sealed.pickle)),
                "nonce": .string(Base64.encode(sealed.nonce)),
            ],
            "device_keys": SignedJSON.sign(
                signed(keys), as: user.text, keyID: "ed25519:\(signer.publicKey)", with: signer),
            "one_time_keys": .object(Dictionary(oneTimeKeys) { $1 }),
        ]
        if let fallback = account.unpublishedFallbackKey {
            body["fallback_keys"] = [
                "signed_curve25519:\(fallback.id)": signed([
                    "key": .string(Base64.encode(fallback.publicKey.bytes)), "fallback": true,
                ])
            ]
        }
        return APICall(.putDehydratedDevice, body: body)
    }

    /// Opens what the server keeps, as `GET` answered; nil without its key. Throws `wrongRecoveryKey` for a device of another
    /// key, `unknownAlgorithm`.
    public func rehydration(_ answer: JSONView, in connection: any SQLConnection) throws -> RehydratedDevice? {
        guard let key = try secret(.dehydratedDevice, in: connection) else { return nil }
        let sealed = answer["device_data"]
        guard sealed?["algorithm"]?.string == Self.dehydrationAlgorithm else {
            throw EncryptionError.unknownAlgorithm(String((sealed?["algorithm"]?.string ?? "").prefix(64)))
        }
        guard let id = answer["device_id"]?.string.flatMap({ try? DeviceID($0) }),
            let pickle = sealed?["device_pickle"]?.string.flatMap({ Base64.decode($0) }),
            let nonce = sealed?["nonce"]?.string.flatMap({ Base64.decode($0) })
        else { throw EncryptionError.malformed(path: "dehydrated_device") }
        do {
            let device = DehydratedDevice(pickle: pickle, nonce: nonce)
            return RehydratedDevice(
                device: id, account: try device.account(key: SecretBytes(key, placement: .heap)))
        } catch {
            throw EncryptionError.wrongRecoveryKey
        }
    }

    /// Takes the room keys in that came for the device. What cannot be read is noted and passed over.
    public func rehydrate(
        _ device: inout RehydratedDevice, _ events: [JSONView], in connection: any SQLConnection
    ) throws -> SyncOutcome {
        var outcome = SyncOutcome()
        for event in events where event["type"]?.string == "m.room.encrypted" {
            do {
                guard let sender = event["sender"]?.string.flatMap({ try? UserID($0) }),
                    let payload = try device.read(event["content"], from: sender, to: self),
                    payload.type == "m.room_key", let key = try takeRoomKey(payload, in: connection)
                else { continue }
                outcome.roomKeys.append(key)
            } catch let error as DatabaseError {
                throw error
            } catch {
                outcome.warnings.append("a message to the dehydrated device was refused: \(error)")
            }
        }
        outcome.boundWarnings()
        return outcome
    }
}

/// A dehydrated device that is being read.
public struct RehydratedDevice: Sendable {
    /// Its id.
    public let device: DeviceID
    private var account: OlmAccount
    /// By the other side's `curve25519` key.
    private var sessions: [String: [OlmSession]] = [:]

    fileprivate init(device: DeviceID, account: OlmAccount) {
        self.device = device
        self.account = account
    }

    /// The payload of an Olm message; nil where it is not for this device.
    fileprivate mutating func read(
        _ content: JSONView?, from sender: UserID, to machine: EncryptionMachine
    ) throws -> OlmPayload? {
        let own = Base64.encode(account.curve25519Key.bytes)
        guard content?["algorithm"]?.string == Algorithm.olm, let ciphertext = content?["ciphertext"]?[own] else {
            return nil
        }
        guard let name = content?["sender_key"]?.string, let keyBytes = Base64.decode(name),
            let senderKey = try? Curve25519.PublicKey(keyBytes),
            let type = ciphertext["type"]?.integer.flatMap({ OlmMessage.Kind(rawValue: Int(clamping: $0)) }),
            let body = ciphertext["body"]?.string.flatMap({ Base64.decode($0) }), body.count <= Limits.payloadBytes
        else { throw EncryptionError.malformed(path: "ciphertext") }
        let plaintext = try plaintext(OlmMessage(type: type, bytes: body), senderKey)
        return try OlmPayload(plaintext, from: sender, senderKey: senderKey, to: machine, account: account)
    }

    private mutating func plaintext(_ message: OlmMessage, _ senderKey: Curve25519.PublicKey) throws -> [UInt8] {
        let name = Base64.encode(senderKey.bytes)
        var known = sessions[name] ?? []
        for index in known.indices {
            if let plaintext = try? known[index].decrypt(message) {
                sessions[name] = known
                return plaintext
            }
        }
        guard message.type == .preKey else { throw EncryptionError.ratchet(.wrongSession) }
        let (session, plaintext) = try account.inboundSession(
            identityKey: senderKey, preKeyMessage: try PreKeyMessage(message.bytes))
        known.append(session)
        sessions[name] = known
        return plaintext
    }
}
