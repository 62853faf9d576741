internal import Cryptography
internal import MatrixModel
internal import Ratchet
public import SQLDatabase

extension EncryptionMachine {
    /// Takes in what a sync brought. An event that is refused is noted and passed over: it would come again forever.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync-1>
    public func receive(_ changes: SyncChanges, in connection: any SQLConnection) throws -> SyncOutcome {
        var outcome = SyncOutcome()
        try noteChangedUsers(changes.changedUsers, in: connection)
        try noteLeftUsers(changes.leftUsers, in: connection)
        if let count = changes.oneTimeKeyCount {
            try connection.execute("UPDATE olm_account SET keys_on_server = \(count)")
        }
        if let isUnused = changes.hasUnusedFallbackKey {
            try connection.execute("UPDATE olm_account SET fallback_unused = \(isUnused)")
        }
        for event in changes.toDevice {
            do {
                try receive(event, &outcome, in: connection)
            } catch let error as DatabaseError {
                throw error
            } catch EncryptionError.wrongStoreKey {
                throw EncryptionError.wrongStoreKey
            } catch {
                outcome.warnings.append("a to-device message was refused: \(error)")
            }
        }
        return outcome
    }

    private func receive(
        _ event: JSONView, _ outcome: inout SyncOutcome, in connection: any SQLConnection
    ) throws {
        guard let sender = event["sender"]?.string.flatMap({ try? UserID($0) }), let content = event["content"] else {
            throw EncryptionError.malformed(path: "sender")
        }
        switch event["type"]?.string {
        case "m.room.encrypted":
            guard let payload = try decrypt(content, from: sender, in: connection) else { return }
            try use(payload, &outcome, in: connection)
        case "m.room_key.withheld":
            try noteWithheld(content, in: connection)
        case "m.secret.request":
            try noteSecretRequest(content, from: sender, in: connection)
        case let type? where type.hasPrefix("m.key.verification."):
            outcome.verification.append(
                VerificationMessage(
                    sender: sender, type: String(type.dropFirst("m.key.verification.".count)), content: content.value))
        default:
            return
        }
    }

    private func use(_ payload: OlmPayload, _ outcome: inout SyncOutcome, in connection: any SQLConnection) throws {
        switch payload.type {
        case "m.room_key":
            if let key = try takeRoomKey(payload, in: connection) { outcome.roomKeys.append(key) }
        case "m.secret.send":
            if let name = try takeSecret(payload, in: connection) { outcome.secrets.append(name) }
        default:
            // m.dummy has done its work by being read.
            return
        }
    }

    /// The payload of an Olm event; nil where it is not for this device.
    private func decrypt(
        _ content: JSONView, from sender: UserID, in connection: any SQLConnection
    ) throws -> OlmPayload? {
        let algorithm = content["algorithm"]?.string ?? ""
        guard algorithm == Algorithm.olm else { throw EncryptionError.unknownAlgorithm(String(algorithm.prefix(64))) }
        var account = try account(in: connection)
        let own = Base64.encode(account.curve25519Key.bytes)
        guard let ciphertext = content["ciphertext"]?[own] else { return nil }
        guard let keyBytes = content["sender_key"]?.string.flatMap({ Base64.decode($0) }),
            let senderKey = try? Curve25519.PublicKey(keyBytes),
            let type = ciphertext["type"]?.integer.flatMap({ OlmMessage.Kind(rawValue: Int(clamping: $0)) }),
            let body = ciphertext["body"]?.string.flatMap({ Base64.decode($0) }), body.count <= Limits.payloadBytes
        else { throw EncryptionError.malformed(path: "ciphertext") }
        let message = OlmMessage(type: type, bytes: body)
        do {
            let plaintext = try plaintext(of: message, from: senderKey, &account, in: connection)
            return try OlmPayload(plaintext, from: sender, senderKey: senderKey, to: self, account: account)
        } catch RatchetError.messageKeyGone {
            // Read before: the server repeats it. The session is sound.
            throw EncryptionError.ratchet(.messageKeyGone)
        } catch let error as RatchetError {
            try wantUnwedging(Base64.encode(senderKey.bytes), of: sender, in: connection)
            throw EncryptionError.ratchet(error)
        }
    }

    private func plaintext(
        of message: OlmMessage, from senderKey: Curve25519.PublicKey, _ account: inout OlmAccount,
        in connection: any SQLConnection
    ) throws -> [UInt8] {
        let name = Base64.encode(senderKey.bytes)
        let sessions = try sessions(with: name, in: connection)
        if message.type == .preKey {
            let preKey = try PreKeyMessage(message.bytes)
            if var known = sessions.first(where: { $0.matches(preKey) }) {
                let plaintext = try known.decrypt(message)
                try save(known, received: true, in: connection)
                return plaintext
            }
            let (session, plaintext) = try account.inboundSession(identityKey: senderKey, preKeyMessage: preKey)
            try save(account, in: connection)
            try insert(session, with: name, receivedAt: now(), in: connection)
            return plaintext
        }
        var failure = RatchetError.wrongSession
        for var session in sessions {
            do {
                let plaintext = try session.decrypt(message)
                try save(session, received: true, in: connection)
                return plaintext
            } catch let error as RatchetError {
                if error == .messageKeyGone { throw error }
                failure = error
            }
        }
        throw failure
    }

    /// Marks the device for a new session, at most one an hour.
    private func wantUnwedging(_ curve25519: String, of user: UserID, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE devices SET unwedge_wanted = 1 WHERE user_id = \(user.text) AND curve25519 = \(curve25519)
                AND unwedged_at <= \(now() - Limits.unwedgeMilliseconds)
            """)
    }

    private func noteWithheld(_ content: JSONView, in connection: any SQLConnection) throws {
        guard let room = content["room_id"]?.string, let session = content["session_id"]?.string,
            let code = content["code"]?.string, room.utf8.count <= 255, session.utf8.count <= 255
        else { return }
        try connection.execute(
            """
            INSERT INTO withheld_room_keys VALUES (\(room), \(session), \(String(code.prefix(64))))
            ON CONFLICT (room_id, session_id) DO UPDATE SET code = excluded.code
            """)
    }
}
