internal import ClientEncryption
internal import Logging
internal import MatrixModel
internal import SQLDatabase

/// Giving those who are invited the keys of what was said (MSC4268).
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sharing-keys-between-users>
extension Client {
    /// Before an invitation: uploads the bundle and tells the user's devices, if the room's history is for those who come
    /// later.
    func shareHistory(of room: RoomID, with user: UserID) async throws {
        let (store, machine) = (store, machine)
        let bundle = try await database.read { connection -> [UInt8]? in
            guard let summary = try store.room(room, in: connection), summary.isEncrypted,
                RoomEncryptionSettings.sharesHistory(summary.historyVisibility)
            else { return nil }
            return try machine.keyBundle(of: room, in: connection)
        }
        guard let bundle else { return }
        try await database.write { try machine.track([user], in: $0) }
        try await keyTurns.hold {
            try await self.queryKeys(for: [user])
            try await self.claimKeys(for: [user])
        }
        // Only cross-signed devices are told: without one nothing need be uploaded.
        guard try await database.read({ try machine.canShareKeyBundle(with: user, in: $0) }) else { return }
        let file = try await EncryptedFile.encrypt(bundle, random: random) { try await self.upload($0) }
        try await keyTurns.hold {
            _ = try await self.database.write {
                try machine.shareKeyBundle(file.json, of: room, with: user, in: $0)
            }
            try await self.flushToDevice()
        }
    }

    /// Fetches the bundles of who has invited us.
    func takeKeyBundles() async throws {
        let machine = machine
        for _ in 0..<ClientLimits.bundlesAtOnce {
            guard let bundle = try await database.read({ try machine.keyBundleToFetch(in: $0) }) else { return }
            do {
                let file = try EncryptedFile(bundle.file)
                let ciphertext = try await download(file.uri, maximumBytes: ClientLimits.bundleBytes)
                let bytes = try file.decrypt(ciphertext)
                let keys = try await database.write { try machine.takeKeyBundle(bundle, bytes, in: $0) }
                announce(keys)
            } catch let error as EncryptionError {
                logger.warning("a bundle of keys from \(bundle.sender) is no good: \(error)")
                try await database.write { try machine.keyBundleFailed(bundle, forGood: true, in: $0) }
            } catch let error as ClientError {
                let isLasting = error.isLasting
                logger.warning("a bundle of keys from \(bundle.sender) could not be fetched: \(error)")
                try await database.write { try machine.keyBundleFailed(bundle, forGood: isLasting, in: $0) }
            }
        }
    }
}
