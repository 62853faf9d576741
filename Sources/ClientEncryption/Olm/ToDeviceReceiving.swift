internal import Cryptography
internal import MatrixModel
internal import PostQuantum
internal import Ratchet
public import SQLDatabase

extension EncryptionMachine {
    /// Takes in what a sync brought. An event that is refused is noted and passed over: it would come again forever.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync-1>
    public func receive(_ changes: SyncChanges, in connection: any SQLConnection) throws -> SyncOutcome {
        var outcome = SyncOutcome()
        try noteChangedUsers(changes.changedUsers, in: connection)
        try noteLeftUsers(changes.leftUsers, in: connection)
        // Where it is missing there may be none left, or the server leaves it out: then it is asked.
        try connection.execute("UPDATE olm_account SET keys_on_server = \(changes.oneTimeKeyCount)")
        if let isUnused = changes.hasUnusedFallbackKey {
            try connection.execute("UPDATE olm_account SET fallback_unused = \(isUnused)")
        }
        try connection.execute("UPDATE encapsulation_keys SET keys_on_server = \(changes.encapsulationKeyCount)")
        if let isUnused = changes.hasUnusedFallbackEncapsulationKey {
            try connection.execute("UPDATE encapsulation_keys SET fallback_unused = \(isUnused)")
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
        outcome.boundWarnings()
        try answerKeyRequests(in: connection)
        return outcome
    }

    /// Whether ``receive(_:in:)`` would find nothing that is not known already.
    public func knows(_ changes: SyncChanges, in connection: any SQLConnection) throws -> Bool {
        guard changes.isEmpty,
            // These wait for a device to be known, or to have a session.
            try connection.query("SELECT 1 FROM incoming_key_requests LIMIT 1").isEmpty,
            let row = try connection.query("SELECT keys_on_server, fallback_unused FROM olm_account").first
        else { return false }
        let hybrid = try connection.query("SELECT keys_on_server, fallback_unused FROM encapsulation_keys").first
        func agrees(_ row: SQLRow, _ count: Int64?, _ isUnused: Bool?) throws -> Bool {
            try row.optionalInteger(0) == count && (isUnused == nil || row.bool(1) == isUnused)
        }
        return try agrees(row, changes.oneTimeKeyCount, changes.hasUnusedFallbackKey)
            && hybrid.map {
                try agrees($0, changes.encapsulationKeyCount, changes.hasUnusedFallbackEncapsulationKey)
            } ?? true
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
            try noteWithheld(content, from: sender, in: connection)
        case "m.room_key_request":
            try noteKeyRequest(content, from: sender, in: connection)
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
        case "m.forwarded_room_key":
            if let key = try takeForwardedKey(payload, in: connection) { outcome.roomKeys.append(key) }
        case "m.room_key_bundle":
            try noteKeyBundle(payload, in: connection)
        case "m.dummy":
            let curve = Base64.encode(payload.senderKey.bytes)
            if let device = try knownDevice(payload.sender, curve25519: curve, in: connection) {
                try shareAgain(with: device, in: connection)
            }
        default:
            return
        }
    }

    /// The payload of an Olm event; nil where it is not for this device.
    private func decrypt(
        _ content: JSONView, from sender: UserID, in connection: any SQLConnection
    ) throws -> OlmPayload? {
        let algorithm = content["algorithm"]?.string ?? ""
        guard algorithm == Algorithm.olm || algorithm == HybridAlgorithm.name else {
            throw EncryptionError.unknownAlgorithm(String(algorithm.prefix(64)))
        }
        var account = try account(in: connection)
        let own = Base64.encode(account.curve25519Key.bytes)
        guard let ciphertext = content["ciphertext"]?[own] else { return nil }
        guard let keyBytes = content["sender_key"]?.string.flatMap({ Base64.decode($0) }),
            let senderKey = try? Curve25519.PublicKey(keyBytes),
            let type = ciphertext["type"]?.integer.flatMap({ OlmMessage.Kind(rawValue: Int(clamping: $0)) }),
            let body = ciphertext["body"]?.string.flatMap({ Base64.decode($0) }), body.count <= Limits.payloadBytes
        else { throw EncryptionError.malformed(path: "ciphertext") }
        let message = OlmMessage(type: type, bytes: body)
        let name = Base64.encode(senderKey.bytes)
        // A fallback key would begin the same session again.
        guard try !wasRead(message, in: connection) else { throw EncryptionError.ratchet(.messageKeyGone) }
        do {
            let plaintext = try plaintext(of: message, algorithm, from: sender, senderKey, &account, in: connection)
            try noteRead(message, in: connection)
            try noteMended(sender, name, in: connection)
            let payload = try OlmPayload(plaintext, from: sender, senderKey: senderKey, to: self, account: account)
            // Their server may show older keys.
            if let keys = payload.deviceKeys, keys.offersHybrid, try isPinned(keys, in: connection) {
                try takeOffer(of: keys, in: connection)
            }
            return payload
        } catch let error as RatchetError {
            // Also a key that is gone: not for this message it was used, so the sender's store was put back to an earlier
            // state.
            try noteWedged(sender, name, in: connection)
            throw EncryptionError.ratchet(error)
        }
    }

    private func wasRead(_ message: OlmMessage, in connection: any SQLConnection) throws -> Bool {
        let hash = SHA256.hash(message.bytes)
        return try !connection.query("SELECT 1 FROM read_olm_messages WHERE hash = \(hash)").isEmpty
    }

    private func noteRead(_ message: OlmMessage, in connection: any SQLConnection) throws {
        let number = try nextGeneration(in: connection)
        try connection.execute(
            """
            INSERT INTO read_olm_messages VALUES (\(SHA256.hash(message.bytes)), \(number)) ON CONFLICT (hash) DO NOTHING
            """)
        try keepNewest(Limits.readOlmMessages, of: "read_olm_messages", by: "number", in: connection)
    }

    private func isPinned(_ keys: DeviceKeys, in connection: any SQLConnection) throws -> Bool {
        guard keys.user != user || keys.device != device,
            let known = try knownDevice(keys.user, keys.device, in: connection)
        else { return false }
        return known.curve25519 == Base64.encode(keys.curve25519.bytes)
            && known.ed25519 == Base64.encode(keys.ed25519.bytes)
    }

    /// A message is of the session that its algorithm names: there is no way from the one to the other.
    private func plaintext(
        of message: OlmMessage, _ algorithm: String, from sender: UserID, _ senderKey: Curve25519.PublicKey,
        _ account: inout OlmAccount, in connection: any SQLConnection
    ) throws -> [UInt8] {
        let name = Base64.encode(senderKey.bytes)
        let sessions = try sessions(with: sender, name, in: connection).filter { $0.algorithm == algorithm }
        if message.type == .preKey {
            let opening = try SessionOpening(message.bytes, algorithm: algorithm)
            if var known = sessions.first(where: { $0.matches(opening) }) {
                let plaintext = try known.decrypt(message)
                try save(known, received: true, in: connection)
                return plaintext
            }
            let (session, plaintext) = try accept(opening, from: senderKey, &account, in: connection)
            try insert(session, with: sender, name, isHeard: true, in: connection)
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

    /// The session that a message begins, and what it says. Its one-time keys are used up. One begun with ML-KEM-768 is taken
    /// whether or not that is switched on: the keys are ours, and whoever has claimed them cannot know.
    private func accept(
        _ opening: SessionOpening, from senderKey: Curve25519.PublicKey, _ account: inout OlmAccount,
        in connection: any SQLConnection
    ) throws -> (PeerSession, [UInt8]) {
        switch opening {
        case .olm(let message):
            let (session, plaintext) = try account.inboundSession(identityKey: senderKey, preKeyMessage: message)
            try save(account, in: connection)
            return (.olm(session), plaintext)
        case .hybrid(let message):
            guard var keys = try encapsulationKeys(in: connection) else { throw RatchetError.unknownOneTimeKey }
            let (session, plaintext) = try keys.inboundSession(
                of: &account, identityKey: senderKey, preKeyMessage: message)
            try save(account, in: connection)
            try save(keys, in: connection)
            return (.hybrid(session), plaintext)
        }
    }
}
