public import ClientEncryption
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// A device as `devices` lists it.
public struct ListedDevice: Sendable {
    public let user: UserID
    public let device: DeviceID
    /// What its owner calls it.
    public let displayName: String?
    /// Its `ed25519` key, base64; nil where it has none.
    public let fingerprint: String?
    /// Whether it shows other keys than at first.
    public let hasChanged: Bool
    /// Whether nothing is sent to it.
    public let isBlocked: Bool
    /// How sure it is that it is its owner's; nil where it has no keys.
    public let standing: SenderStanding?
    /// How it is written to, where it and this device offer the post-quantum key agreement.
    public let hybrid: HybridStanding?
}

extension Client {
    /// Our devices, or another user's. Throws ``ClientError``.
    public func devices(of other: UserID? = nil) async throws -> [ListedDevice] {
        let machine = machine
        let owner = other ?? user
        try await caughtUp()
        try await database.write { try machine.track([owner], in: $0) }
        try await keyTurns.hold {
            try await self.uploadKeys()
            try await self.queryKeys(for: [owner])
        }
        let (known, standings, hybrids) = try await database.read { connection in
            let known = try machine.devices(of: owner, in: connection)
            return (
                known, try known.map { try machine.standing(of: $0, in: connection) },
                try known.map { try machine.hybridStanding(of: $0, in: connection) }
            )
        }
        let standing = Dictionary(zip(known.map(\.device), standings)) { $1 }
        let hybrid = Dictionary(zip(known.map(\.device), hybrids)) { $1 }
        guard owner == user else {
            return known.map {
                ListedDevice(
                    user: owner, device: $0.device, displayName: $0.displayName, fingerprint: $0.ed25519,
                    hasChanged: $0.hasChanged, isBlocked: $0.isBlocked, standing: standing[$0.device],
                    hybrid: hybrid[$0.device] ?? nil)
            }
        }
        let answer = try await call(APICall(.getDevices))
        return try answer.requiredArray("devices").compactMap { each in
            guard let device = each["device_id"]?.string.flatMap({ try? DeviceID($0) }) else { return nil }
            let keys = known.first { $0.device == device }
            return ListedDevice(
                user: owner, device: device, displayName: each["display_name"]?.string, fingerprint: keys?.ed25519,
                hasChanged: keys?.hasChanged ?? false, isBlocked: keys?.isBlocked ?? false, standing: standing[device],
                hybrid: hybrid[device] ?? nil)
        }
    }

    /// Takes the new keys of a device at the user's word.
    public func acceptNewKeys(of user: UserID, _ device: DeviceID) async throws {
        let machine = machine
        try await database.write { try machine.acceptNewKeys(of: user, device, in: $0) }
        try await keyTurns.hold { try await self.queryKeys(for: [user]) }
    }

    /// Nothing is sent to a blocked device. Throws ``ClientError``: `notFound`.
    public func setBlocked(_ isBlocked: Bool, _ user: UserID, _ device: DeviceID) async throws {
        let machine = machine
        try await database.write { try machine.track([user], in: $0) }
        try await keyTurns.hold { try await self.queryKeys(for: [user]) }
        guard try await database.write({ try machine.setBlocked(isBlocked, user, device, in: $0) }) else {
            throw ClientError.notFound("\(user)'s device \(device)")
        }
    }

    /// Which devices get the keys of our messages.
    public func sharing() async throws -> KeySharing {
        let machine = machine
        return try await database.read { try machine.sharing(in: $0) }
    }

    /// From the next message on.
    public func setSharing(_ sharing: KeySharing) async throws {
        let machine = machine
        try await database.write { try machine.setSharing(sharing, in: $0) }
    }

    /// This device's `ed25519` key, base64.
    public func fingerprint() async throws -> String {
        let machine = machine
        return try await database.read { try machine.fingerprint(in: $0) }
    }
}
