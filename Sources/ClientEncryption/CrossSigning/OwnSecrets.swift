internal import Cryptography
internal import MatrixModel
public import SQLDatabase

/// Secrets that our devices share, under the names that they have in secret storage.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#secrets>
public enum SecretName: String, Sendable, Hashable, CaseIterable {
    /// The seed of the master key.
    case master = "m.cross_signing.master"
    /// The seed of the self-signing key.
    case selfSigning = "m.cross_signing.self_signing"
    /// The seed of the user-signing key.
    case userSigning = "m.cross_signing.user_signing"
    /// The private key of the online key backup.
    case backup = "m.megolm_backup.v1"
    /// The key under which a dehydrated device is sealed (MSC3814).
    case dehydratedDevice = "org.matrix.msc3814"
}

extension EncryptionMachine {
    /// The bytes of a secret that this device holds.
    func secret(_ name: SecretName, in connection: any SQLConnection) throws -> [UInt8]? {
        guard let row = try connection.query("SELECT value FROM own_secrets WHERE name = \(name.rawValue)").first
        else { return nil }
        do {
            return try key.open(try row.bytes(0), place: "secret \(name.rawValue)")
        } catch {
            throw EncryptionError.wrongStoreKey
        }
    }

    /// Keeps a secret, sealed.
    func keep(_ secret: [UInt8], as name: SecretName, in connection: any SQLConnection) throws {
        let sealed = try key.seal(secret, place: "secret \(name.rawValue)", random: random)
        try connection.execute(
            """
            INSERT INTO own_secrets VALUES (\(name.rawValue), \(sealed))
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
            """)
    }

    /// The secrets that this device holds.
    public func heldSecrets(in connection: any SQLConnection) throws -> Set<SecretName> {
        Set(try connection.query("SELECT name FROM own_secrets").compactMap { SecretName(rawValue: try $0.text(0)) })
    }
}
