public import ClientEncryption
internal import Cryptography
internal import MatrixAPI
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// What a recovery brought back.
public struct Recovered: Sendable {
    /// Secrets that secret storage holds and that are those in use.
    public var secrets: [SecretName] = []
    /// Secrets that it holds and that are not.
    public var refused: [SecretName] = []
    /// What came out of the backup; nil where there is none.
    public var backup: BackupRestoration?
    /// New room keys that a dehydrated device had taken; nil where there is none.
    public var rehydrated: Int?
}

/// Secret storage: our secrets on the server, sealed under a recovery key or a passphrase.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#storage>
extension Client {
    /// Stores this device's secrets under a new key, with a backup of the room keys if there is none. Throws ``ClientError``:
    /// `usage` where there is no identity, or this device lacks its keys or that of the backup in use.
    /// - Returns: the recovery key, for its owner to write down.
    public func createRecovery(passphrase: String?) async throws -> String {
        let status = try await crossSigningStatus()
        guard status.hasMasterKey, status.hasSelfSigningKey, status.hasUserSigningKey else {
            throw ClientError.usage(
                status.master == nil
                    ? "there is no identity yet: run \"fedchat cross-signing bootstrap\" first"
                    : "this device does not hold the identity's private keys: verify it or recover first")
        }
        let backup = try await checkBackup()
        let machine = machine
        if try await !database.read({ try machine.canReadBackup(in: $0) }) {
            // A new one would take the place of what only the one in use holds.
            guard backup == nil else {
                throw ClientError.usage(
                    """
                    another device of yours has made the key backup and has been asked for its key: try again when it is \
                    there, or make a new backup with "fedchat backup create"
                    """)
            }
            try await createBackup()
        }
        let random = random
        let (key, description) = try SecretStorageDescription.make(passphrase: passphrase, random: random)
        let secrets = try await database.read { try machine.secretsInUse(in: $0) }
        for (name, secret) in secrets.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            let content = try await accountData(name.rawValue) ?? [:]
            try await setAccountData(
                name.rawValue,
                try description.sealing(secret, name.rawValue, with: key, in: content, random: random))
        }
        // The new key is named last: until then the old one opens all.
        try await setAccountData(description.type, description.content)
        try await setAccountData(SecretStorageDescription.defaultKeyType, ["key": .string(description.id)])
        return try RecoveryKey.encode(key.bytes)
    }

    /// Opens secret storage with a recovery key or passphrase, takes the secrets, signs this device, and reads the backup.
    /// Throws `encryption(.wrongRecoveryKey)`, `notFound` where there is no secret storage.
    public func recover(_ text: String) async throws -> Recovered {
        _ = try await crossSigningStatus()
        // The key of a backup is taken only if it is that of the one in use now.
        try await checkBackup()
        let (description, key) = try await secretStorage(text)
        var recovered = Recovered()
        let machine = machine
        for name in SecretName.allCases {
            guard let content = try await accountData(name.rawValue),
                let secret = try description.opening(name.rawValue, content, with: key)
            else { continue }
            let isTaken = try await database.write { try machine.take(secret, as: name, in: $0) }
            if isTaken { recovered.secrets.append(name) } else { recovered.refused.append(name) }
        }
        try await keyTurns.hold {
            try await self.uploadSignatures()
            try await self.refreshOwnKeys()
        }
        if try await checkBackup() != nil, recovered.secrets.contains(.backup) {
            recovered.backup = try await restoreBackup()
        }
        if recovered.secrets.contains(.dehydratedDevice) { recovered.rehydrated = try await rehydrate() }
        return recovered
    }

    func secretStorage(_ text: String) async throws -> (SecretStorageDescription, SecretStorageKey) {
        guard let id = try await accountData(SecretStorageDescription.defaultKeyType)?["key"]?.string,
            let content = try await accountData("m.secret_storage.key.\(id)")
        else {
            throw ClientError.notFound("secret storage: run \"fedchat recovery create\" on a device that has the keys")
        }
        let description = SecretStorageDescription(id: id, content: content)
        return (description, try description.key(from: text))
    }

    // MARK: Account data

    func accountData(_ type: String) async throws -> JSONValue? {
        do {
            return try await call(APICall(.getAccountData, ["userId": user.text, "type": type])).value
        } catch ClientError.server(let refusal) where refusal.status == 404 {
            return nil
        }
    }

    func setAccountData(_ type: String, _ content: JSONValue) async throws {
        _ = try await call(APICall(.setAccountData, ["userId": user.text, "type": type], body: content))
    }
}
