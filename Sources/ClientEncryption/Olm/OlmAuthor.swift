internal import Cryptography
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// What each Olm message says of this device. Opening the account and signing the device's keys costs more than the message: it
/// is done once for all that go out in a transaction.
struct OlmAuthor {
    /// Base64, as the other.
    let curve25519: String
    let ed25519: String
    /// `sender_device_keys`
    let deviceKeys: JSONValue
}

extension EncryptionMachine {
    func olmAuthor(in connection: any SQLConnection) throws -> OlmAuthor {
        let account = try account(in: connection)
        return OlmAuthor(
            curve25519: Base64.encode(account.curve25519Key.bytes), ed25519: Base64.encode(account.ed25519Key.bytes),
            deviceKeys: deviceKeys(account, offersHybrid: try isHybridOffered(in: connection)))
    }
}
