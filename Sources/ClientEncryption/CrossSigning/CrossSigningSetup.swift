internal import Cryptography
public import MatrixAPI
internal import MatrixModel
internal import Ratchet
public import SQLDatabase

/// A new identity: made, published, replaced.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>
extension EncryptionMachine {
    /// The upload of a new identity. Its keys are in the store before, so that an upload whose answer is lost is repeated
    /// with the same; they count once `/keys/query` shows them. The server wants user-interactive authentication if there
    /// was an identity before. Query our own keys afterwards, then send what `signatureUpload` gives.
    public func crossSigningUpload(in connection: any SQLConnection) throws -> APICall {
        let new = try pendingIdentity(in: connection) ?? NewIdentity(random: random)
        let sealed = try key.seal(new.seeds, place: Self.pendingPlace, random: random)
        try connection.execute(
            """
            INSERT INTO own_secrets VALUES (\(Self.pendingPlace), \(sealed))
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
            """)
        // This device's signature tells those who verified the device that the identity is its owner's.
        let master = SignedJSON.sign(
            new.object(.master, of: user), as: user.text, keyID: "ed25519:\(device.text)",
            with: try account(in: connection).ed25519SigningKey)
        try signThisDevice(in: connection)
        return APICall(
            .uploadCrossSigningKeys,
            body: [
                "master_key": master, "self_signing_key": new.object(.selfSigning, of: user),
                "user_signing_key": new.object(.userSigning, of: user),
            ])
    }

    /// Gives up an upload that the server refused for good.
    public func forgetPendingIdentity(in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM own_secrets WHERE name = \(Self.pendingPlace)")
    }

    func pendingIdentity(in connection: any SQLConnection) throws -> NewIdentity? {
        guard let row = try connection.query("SELECT value FROM own_secrets WHERE name = \(Self.pendingPlace)").first
        else { return nil }
        do {
            return try NewIdentity(seeds: try key.open(try row.bytes(0), place: Self.pendingPlace))
        } catch is CryptographyError {
            throw EncryptionError.wrongStoreKey
        }
    }

    private static var pendingPlace: String { "pending identity" }

    /// What this device can do with our identity.
    public func crossSigningStatus(in connection: any SQLConnection) throws -> CrossSigningStatus {
        let own = try identity(of: user, in: connection)
        let this = try knownDevice(user, device, in: connection)
        return CrossSigningStatus(
            master: own?.master, isTrusted: try isVerified(user, in: connection), change: own?.change,
            isDeviceSigned: try this.map { try isCrossSigned($0, in: connection) } ?? false,
            hasMasterKey: try signingKey(.master, in: connection) != nil,
            hasSelfSigningKey: try signingKey(.selfSigning, in: connection) != nil,
            hasUserSigningKey: try signingKey(.userSigning, in: connection) != nil)
    }
}

/// What a device can do with its user's identity.
public struct CrossSigningStatus: Sendable, Hashable {
    /// The master key that the server shows, base64; nil where there is no identity.
    public let master: String?
    /// Whether this device has verified the identity or holds its private key.
    public let isTrusted: Bool
    /// Whether it is another than before.
    public let change: IdentityChange?
    /// Whether the identity has signed this device.
    public let isDeviceSigned: Bool
    /// Whether the private master key is here, and is that of the identity shown.
    public let hasMasterKey: Bool
    /// The same for the key that signs our devices.
    public let hasSelfSigningKey: Bool
    /// The same for the key that signs other users.
    public let hasUserSigningKey: Bool
}
