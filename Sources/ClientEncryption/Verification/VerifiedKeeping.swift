internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// What a verification is made of, and what follows from it.
extension EncryptionMachine {
    /// This device, with the keys that it shows in a verification.
    public func ownParty(in connection: any SQLConnection) throws -> VerificationParty {
        let own = try identity(of: user, in: connection)
        return VerificationParty(
            user: user, device: device, ed25519: try fingerprint(in: connection), master: own?.master,
            trustsMaster: try isVerified(user, in: connection))
    }

    /// Another device; nil where it is not known. Throws `mismatch` for a user who has a device named like a cross-signing
    /// key, which could be taken for it.
    public func party(
        _ user: UserID, _ device: DeviceID, in connection: any SQLConnection
    ) throws -> VerificationParty? {
        let identity = try identity(of: user, in: connection)
        let keys = [identity?.master, identity?.selfSigning, identity?.userSigning].compactMap { $0 }
        let devices = try devices(of: user, in: connection)
        guard !devices.contains(where: { keys.contains($0.device.text) }) else {
            throw EncryptionError.mismatch(rule: "no device is named like a cross-signing key")
        }
        guard let known = devices.first(where: { $0.device == device }), !known.hasChanged else { return nil }
        return VerificationParty(user: user, device: device, ed25519: known.ed25519, master: identity?.master)
    }

    /// Puts `m.key.verification.` and this for devices into the outbox, in the clear as others send it.
    public func queueVerification(
        _ type: String, _ content: JSONValue, to other: UserID, _ devices: [DeviceID], in connection: any SQLConnection
    ) throws {
        try enqueue(content, type: "m.key.verification." + type, to: other, devices, in: connection)
    }

    /// The time, in milliseconds since 1970.
    public var milliseconds: Int64 { now() }

    /// Asks for the keys of users at the next query, whatever is known.
    public func wantKeys(of users: [UserID], in connection: any SQLConnection) throws {
        try track(users, in: connection)
        try noteChangedUsers(users, in: connection)
    }

    /// Keeps what a verification has shown: vouches for another user, signs a device of ours, or trusts our identity.
    /// Then send what `signatureUpload` gives.
    /// - Returns: what was done; empty if this device could do nothing with it.
    public func keep(
        _ verified: VerifiedKeys, of them: VerificationParty, in connection: any SQLConnection
    ) throws -> Set<VerificationEffect> {
        var effects: Set<VerificationEffect> = []
        if let ed25519 = verified.ed25519 {
            try connection.execute(
                """
                INSERT INTO verified_devices VALUES (\(them.user.text), \(them.device.text), \(ed25519))
                ON CONFLICT (user_id, device_id) DO UPDATE SET ed25519 = excluded.ed25519
                """)
            effects.insert(.device)
        }
        if let master = verified.master {
            if them.user == user {
                guard try identity(of: user, in: connection)?.master == master else {
                    throw EncryptionError.changedIdentity(user: user)
                }
                try trustOwnIdentity(master: master, in: connection)
                effects.insert(.ownIdentity)
            } else if try signingKey(.userSigning, in: connection) != nil, try isVerified(user, in: connection) {
                try vouch(for: them.user, master: master, in: connection)
                effects.insert(.identity)
            }
        }
        if them.user == user, let ed25519 = verified.ed25519, try isVerified(user, in: connection),
            try signingKey(.selfSigning, in: connection) != nil
        {
            try signOwnDevice(them.device, ed25519: ed25519, in: connection)
            effects.insert(.ownDevice)
        }
        return effects
    }

    /// Whether the device itself was verified on this device, with just these keys.
    public func isLocallyVerified(_ device: KnownDevice, in connection: any SQLConnection) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM verified_devices WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
                AND ed25519 = \(device.ed25519)
            """
        ).isEmpty
    }
}

/// What a verification led to.
public enum VerificationEffect: String, Sendable, Hashable {
    /// This device remembers that the other device is its owner's.
    case device
    /// Our identity vouches for the other user's.
    case identity
    /// This device trusts our identity.
    case ownIdentity = "own_identity"
    /// Our identity signs the other device, which is ours.
    case ownDevice = "own_device"
}

/// A message of a verification, to a device of ours.
public struct VerificationMessage: Sendable {
    /// Who sent it.
    public let sender: UserID
    /// What comes after `m.key.verification.`.
    public let type: String
    /// Its content.
    public let content: JSONValue

    /// Names its parts.
    public init(sender: UserID, type: String, content: JSONValue) {
        self.sender = sender
        self.type = type
        self.content = content
    }
}
