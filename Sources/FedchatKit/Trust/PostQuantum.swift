public import ClientEncryption
public import MatrixModel
public import PostQuantum
internal import SQLDatabase

/// The optional post-quantum key agreement: spec/post-quantum.md.
extension Client {
    /// Whether it is on.
    public func hybridPolicy() async throws -> HybridAlgorithm.Policy {
        let machine = machine
        return try await database.read { try machine.hybridPolicy(in: $0) }
    }

    /// Switches it on or off, and tells others by this device's keys, at once if the server can be reached. Throws
    /// ``ClientError``: `encryption(.cannotSign)` if this device is verified and could not sign itself anew.
    public func setHybridPolicy(_ policy: HybridAlgorithm.Policy) async throws {
        try await caughtUp()
        let machine = machine
        try await database.write { try machine.setHybridPolicy(policy, in: $0) }
        do {
            try await keyTurns.hold {
                // The second time only where the server does not take the signature.
                for _ in 0..<2 {
                    try await self.uploadKeys()
                    try await self.queryKeys(for: [self.user])
                    try await self.uploadSignatures()
                }
            }
        } catch let error as ClientError where error.isTransient {
            // Upkeep goes on with it.
        }
    }

    /// Whether the server keeps our identity's signature on this device's keys as they are, so that they cannot be changed.
    public func isHybridOfferFixed() async throws -> Bool {
        let machine = machine
        return try await database.read { try machine.fixedOffer(in: $0) } != nil
    }

    /// Whether this device's keys on the server offer it.
    public func isHybridOffered() async throws -> Bool {
        let machine = machine
        return try await database.read { try machine.isHybridOffered(in: $0) }
    }

    /// Devices that ought to be written to by it and are not, among those whom our messages in `room` are for, or all that are
    /// known.
    public func downgradedDevices(in room: RoomID? = nil) async throws -> [DowngradedDevice] {
        let (store, machine) = (store, machine)
        return try await database.read { connection in
            var users: [UserID]?
            if let room {
                guard let summary = try store.room(room, in: connection), summary.isEncrypted else { return [] }
                users = try store.recipients(in: summary, connection)
            }
            return try machine.suspiciousDevices(of: users, in: connection).map {
                DowngradedDevice(user: $0.device.user, device: $0.device.device, standing: $0.standing)
            }
        }
    }
}

/// A device that offers the post-quantum key agreement, or did, and is written to without it, or not at all.
public struct DowngradedDevice: Sendable {
    public let user: UserID
    public let device: DeviceID
    public let standing: HybridStanding
}
