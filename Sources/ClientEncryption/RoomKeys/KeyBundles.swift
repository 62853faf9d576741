internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// A bundle of keys that is to be fetched.
public struct PendingKeyBundle: Sendable, Hashable {
    /// The room whose keys are in it.
    public let room: RoomID
    /// Who shared it.
    public let sender: UserID
    /// Where it is: an `EncryptedFile`.
    public let file: JSONValue
}

/// Sharing the keys of what was said with those who are invited (MSC4268).
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sharing-keys-between-users>
extension EncryptionMachine {
    // MARK: Giving

    /// The `RoomKeyBundle` of what may be shared of a room, to be encrypted and uploaded as an attachment; nil where there
    /// is nothing. Download what a backup has before.
    public func keyBundle(of room: RoomID, in connection: any SQLConnection) throws -> [UInt8]? {
        let rows = try connection.query(
            """
            SELECT \(InboundRow.columns) FROM inbound_group_sessions WHERE room_id = \(room.text)
            ORDER BY received_at DESC LIMIT \(Limits.sessionsPerBundle)
            """
        ).map(InboundRow.init)
        var (keys, withheld): ([JSONValue], [JSONValue]) = ([], [])
        for row in rows {
            if row.sharesHistory {
                var key = try exported(row, of: room)
                // In a bundle it goes without saying, and has no place.
                key["shared_history"] = nil
                keys.append(key)
            } else {
                withheld.append([
                    "algorithm": .string(Algorithm.megolm), "room_id": .string(room.text),
                    "session_id": .string(row.session), "sender_key": .string(row.origin.curve25519),
                    "code": .string(WithheldCode.historyNotShared.rawValue),
                    "reason": .string(WithheldCode.historyNotShared.reason),
                ])
            }
        }
        guard !keys.isEmpty else { return nil }
        return JSONValue.object(["room_keys": .array(keys), "withheld": .array(withheld)]).serialized()
    }

    /// Whether a device of `user` would be told.
    public func canShareKeyBundle(with user: UserID, in connection: any SQLConnection) throws -> Bool {
        try devices(of: user, in: connection).contains {
            try !$0.hasChanged && !$0.isBlocked && isCrossSigned($0, in: connection)
                && !sessions(with: $0.user, $0.curve25519, in: connection).isEmpty
        }
    }

    /// Tells the devices of `user` where the bundle is: those that their owner has cross-signed, whatever the setting. Query
    /// and claim keys first; send the outbox, then invite.
    /// - Returns: how many devices are told.
    public func shareKeyBundle(
        _ file: JSONValue, of room: RoomID, with user: UserID, in connection: any SQLConnection
    ) throws -> Int {
        try refuseChangedIdentities(of: [user], in: connection)
        let content: JSONValue = ["room_id": .string(room.text), "file": file]
        let author = try olmAuthor(in: connection)
        var messages: [(KnownDevice, JSONValue)] = []
        for device in try devices(of: user, in: connection) {
            guard !device.hasChanged, !device.isBlocked, try isCrossSigned(device, in: connection),
                let message = try encrypt("m.room_key_bundle", content, to: device, as: author, in: connection)
            else { continue }
            messages.append((device, message))
        }
        try enqueue(messages, in: connection)
        return messages.count
    }

    // MARK: Taking

    /// Only remembered: it is fetched once the invitation of its sender is accepted.
    func noteKeyBundle(_ payload: OlmPayload, in connection: any SQLConnection) throws {
        guard payload.deviceKeys != nil else {
            throw EncryptionError.mismatch(rule: "a key bundle comes with sender_device_keys")
        }
        try checkIdentity(payload, in: connection)
        guard let room = payload.content["room_id"]?.string.flatMap({ try? RoomID($0) }),
            let file = payload.content["file"], file.isObject
        else { throw EncryptionError.malformed(path: "m.room_key_bundle") }
        let sealed = try key.seal(
            file.value.serialized(), place: "bundle \(room) \(payload.sender)", random: random)
        try connection.execute(
            """
            INSERT INTO key_bundles VALUES (\(room.text), \(payload.sender.text),
                \(Base64.encode(payload.senderKey.bytes)), \(Base64.encode(payload.ed25519.bytes)), \(sealed), \(now()), 0)
            ON CONFLICT (room_id, user_id) DO UPDATE SET curve25519 = excluded.curve25519, ed25519 = excluded.ed25519,
                file = excluded.file, received_at = excluded.received_at, failures = 0
            """)
        try keepNewest(Limits.keyBundles, of: "key_bundles", by: "received_at", in: connection)
    }

    /// We have joined a room to which `inviter` had invited us.
    public func noteAcceptedInvite(
        to room: RoomID, from inviter: UserID, in connection: any SQLConnection
    ) throws {
        try connection.execute(
            "DELETE FROM accepted_invites WHERE accepted_at < \(now() - Limits.bundleMilliseconds)")
        try connection.execute(
            """
            INSERT INTO accepted_invites VALUES (\(room.text), \(inviter.text), \(now()))
            ON CONFLICT (room_id) DO UPDATE SET inviter = excluded.inviter, accepted_at = excluded.accepted_at
            """)
    }

    /// A bundle that is to be fetched now: of who invited us to a room that we have joined within a day, sent by a device
    /// that they have cross-signed, under an identity that has not changed.
    public func keyBundleToFetch(in connection: any SQLConnection) throws -> PendingKeyBundle? {
        let rows = try connection.query(
            """
            SELECT key_bundles.room_id, user_id, curve25519, ed25519, file FROM key_bundles
            JOIN accepted_invites ON accepted_invites.room_id = key_bundles.room_id AND inviter = user_id
            WHERE accepted_at >= \(now() - Limits.bundleMilliseconds) AND failures < \(Limits.bundleAttempts)
            ORDER BY failures, key_bundles.received_at
            """)
        for row in rows {
            let (room, sender) = (try RoomID(try row.text(0)), try UserID(try row.text(1)))
            guard let device = try knownDevice(sender, curve25519: try row.text(2), in: connection),
                device.ed25519 == (try row.text(3)), !device.hasChanged, try isCrossSigned(device, in: connection),
                try identityChange(of: sender, in: connection) == nil
            else { continue }
            let file = try key.open(try row.bytes(4), place: "bundle \(room) \(sender)")
            return PendingKeyBundle(room: room, sender: sender, file: try JSONValue.parse(file))
        }
        return nil
    }

    /// Takes the keys of a bundle that was fetched and decrypted: those of its room only, marked as its sender's word.
    public func takeKeyBundle(
        _ bundle: PendingKeyBundle, _ bytes: [UInt8], in connection: any SQLConnection
    ) throws -> [SyncOutcome.RoomKey] {
        try forget(bundle, in: connection)
        guard bytes.count <= Limits.bundleBytes, let document = try? JSONDocument(bytes) else {
            throw EncryptionError.malformed(path: "RoomKeyBundle")
        }
        let keys = (document.root["room_keys"]?.elements ?? []).prefix(Limits.sessionsPerBundle)
        for view in (document.root["withheld"]?.elements ?? []).prefix(Limits.sessionsPerBundle) {
            guard view["room_id"]?.string == bundle.room.text, let session = view["session_id"]?.string,
                let code = view["code"]?.string
            else { continue }
            try noteWithheld(
                bundle.room.text, session, by: bundle.sender.text, code: code, reason: view["reason"]?.string,
                isHandedOn: true, in: connection)
        }
        return try importRoomKeys(
            keys, from: .bundle, vouchedBy: bundle.sender.text, only: bundle.room, in: connection)
    }

    /// The bundle could not be fetched. It is tried again a few times, unless it is gone for good.
    public func keyBundleFailed(
        _ bundle: PendingKeyBundle, forGood: Bool, in connection: any SQLConnection
    ) throws {
        if forGood { return try forget(bundle, in: connection) }
        try connection.execute(
            """
            UPDATE key_bundles SET failures = failures + 1
            WHERE room_id = \(bundle.room.text) AND user_id = \(bundle.sender.text)
            """)
    }

    private func forget(_ bundle: PendingKeyBundle, in connection: any SQLConnection) throws {
        try connection.execute(
            "DELETE FROM key_bundles WHERE room_id = \(bundle.room.text) AND user_id = \(bundle.sender.text)")
    }
}
