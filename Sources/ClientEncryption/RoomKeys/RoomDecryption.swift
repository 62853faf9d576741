internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// An event of an encrypted room, in the clear.
public struct DecryptedEvent: Sendable {
    /// The type inside.
    public let type: String
    /// The content inside.
    public let content: JSONValue
    /// The device that made the session; nil where it is not known (yet).
    public let device: DeviceID?
    /// Its `curve25519` key, base64.
    public let senderKey: String
    /// How sure it is that the event's sender wrote it.
    public let standing: SenderStanding
    /// Where the key was had.
    public let source: RoomKeySource
    /// Of whom, where it was not the sender.
    public let vouchedBy: String?
}

/// How sure it is that an event was written by its sender.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#verification-of-the-sending-user-for-incoming-events>
public enum SenderStanding: String, Sendable, Hashable {
    /// By a device that a verified user has cross-signed, or by this one.
    case verified
    /// By a device that its owner has cross-signed.
    case crossSigned = "cross_signed"
    /// By a device that its owner has not cross-signed: their server could have made it.
    case notCrossSigned = "not_cross_signed"
    /// By a device that its owner's server does not show.
    case unknownDevice = "unknown_device"
    /// The key was handed on by somebody else, who could say that it is anybody's.
    case keyHandedOn = "key_handed_on"

    /// From the surest on.
    private static let order: [SenderStanding] = [
        .verified, .crossSigned, .notCrossSigned, .unknownDevice, .keyHandedOn,
    ]

    fileprivate func isAtLeast(_ other: SenderStanding) -> Bool {
        Self.order.first { $0 == self || $0 == other } == self
    }
}

extension EncryptionMachine {
    /// Decrypts an `m.room.encrypted` event of `room`. The same event may be read again; the same message under another
    /// event id is refused as `replayed`.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mmegolmv1aes-sha2>
    public func decrypt(
        _ event: JSONView, in room: RoomID, in connection: any SQLConnection
    ) throws -> DecryptedEvent {
        let content = event["content"]
        let algorithm = content?["algorithm"]?.string ?? ""
        guard algorithm == Algorithm.megolm else {
            throw EncryptionError.unknownAlgorithm(String(algorithm.prefix(64)))
        }
        guard let name = content?["session_id"]?.string,
            let eventID = event["event_id"]?.string.flatMap({ try? EventID($0) }),
            let sender = event["sender"]?.string.flatMap({ try? UserID($0) }),
            let ciphertext = content?["ciphertext"]?.string.flatMap({ Base64.decode($0) })
        else { throw EncryptionError.malformed(path: "m.room.encrypted") }
        guard let row = try inboundRow(room, name, in: connection) else {
            throw EncryptionError.noRoomKey(
                session: String(name.prefix(64)),
                withheld: try withheldCode(room, name, sender: sender.text, in: connection)?.code)
        }
        guard let (origin, device, standing) = try owner(of: row, room, for: sender, in: connection) else {
            throw EncryptionError.mismatch(rule: "the session belongs to the event's sender")
        }
        var session = try InboundGroupSession(pickle: row.pickle, key: key.bytes)
        let decrypted: InboundGroupSession.Decrypted
        do { decrypted = try session.decrypt(ciphertext) } catch RatchetError.wrongMAC where !row.origin.source.isSafe {
            // Who made the session has signed the message: it is the key that is false.
            throw EncryptionError.noRoomKey(session: String(name.prefix(64)), withheld: nil)
        } catch { throw EncryptionError.ratchet(error) }
        let indexes = try indexes(of: row, room, usedBy: sender, origin, in: connection)
        try bind(decrypted.index, of: indexes, room, to: eventID, in: connection)
        guard let payload = try? JSONDocument(decrypted.plaintext).root, let type = payload["type"]?.string,
            let inner = payload["content"], inner.isObject
        else { throw EncryptionError.malformed(path: "payload") }
        guard payload["room_id"]?.string == room.text else {
            throw EncryptionError.mismatch(rule: "the payload names its room")
        }
        return DecryptedEvent(
            type: type, content: inner.value, device: device, senderKey: origin.curve25519, standing: standing,
            source: origin.source, vouchedBy: origin.vouchedBy)
    }

    /// The device of the sender's that has made the session, as far as is known: of several that say so the one that stands
    /// best. nil where none is the sender's.
    private func owner(
        of row: InboundRow, _ room: RoomID, for sender: UserID, in connection: any SQLConnection
    ) throws -> (RoomKeyOrigin, DeviceID?, SenderStanding)? {
        let claims = row.origin.source == .roomKey ? try claims(to: row.session, room, in: connection) : []
        var best: (origin: RoomKeyOrigin, device: DeviceID?, standing: SenderStanding)?
        for origin in [row.origin] + claims where try belongs(origin, to: sender, in: connection) {
            let (device, standing) = try standing(of: origin, sender, in: connection)
            if let best, best.standing.isAtLeast(standing) { continue }
            best = (origin, device, standing)
        }
        return best
    }

    /// Whether the session may be the sender's. Where only a device's keys are known, nobody else may show them.
    private func belongs(
        _ origin: RoomKeyOrigin, to sender: UserID, in connection: any SQLConnection
    ) throws -> Bool {
        if let owner = origin.owner { return owner == sender }
        if sender != user, try ownCurve25519(in: connection) == origin.curve25519 { return false }
        let owners = try connection.query(
            "SELECT user_id FROM devices WHERE curve25519 = \(origin.curve25519)"
        ).map { try $0.text(0) }
        return owners.isEmpty || owners.contains(sender.text)
    }

    private func standing(
        of origin: RoomKeyOrigin, _ sender: UserID, in connection: any SQLConnection
    ) throws -> (DeviceID?, SenderStanding) {
        if sender == user, origin.curve25519 == (try ownCurve25519(in: connection)) {
            return (device, origin.source.isSafe ? .verified : .keyHandedOn)
        }
        guard let known = try knownDevice(sender, curve25519: origin.curve25519, in: connection),
            known.ed25519 == origin.ed25519
        else { return (nil, origin.source.isSafe ? .unknownDevice : .keyHandedOn) }
        guard origin.source.isSafe else { return (known.device, .keyHandedOn) }
        guard try isCrossSigned(known, in: connection) else { return (known.device, .notCrossSigned) }
        return (known.device, try isVerified(sender, in: connection) ? .verified : .crossSigned)
    }

    private func ownCurve25519(in connection: any SQLConnection) throws -> String {
        Base64.encode(try account(in: connection).curve25519Key.bytes)
    }
}
