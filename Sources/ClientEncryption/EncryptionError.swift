public import MatrixModel
public import Ratchet

/// Why something could not be encrypted, decrypted or taken in. Holds no key and no text of a message.
public enum EncryptionError: Error, Sendable, Equatable {
    /// The store was sealed under another key.
    case wrongStoreKey
    /// A row of the store is altered or missing; `what` names it.
    case damagedStore(what: String)
    /// The device shows other identity keys than it did at first: nothing is sent to it.
    case changedKey(user: UserID, device: DeviceID)
    /// The user had been verified and has another identity now: nothing is sent until that is accepted.
    case changedIdentity(user: UserID)
    /// The private key that would have to sign is not on this device, or our identity is not trusted by it.
    case cannotSign
    /// The recovery key or passphrase does not open it.
    case wrongRecoveryKey
    /// An algorithm that is not ours.
    case unknownAlgorithm(String)
    /// The Megolm session has not come, or was withheld with this code.
    case noRoomKey(session: String, withheld: String?)
    /// The session belongs to someone else than the event's sender, or the payload names another room or person.
    case mismatch(rule: String)
    /// This message of the session has been read as another event.
    case replayed
    /// The ratchet refused it.
    case ratchet(RatchetError)
    /// A field is missing or not what it should be.
    case malformed(path: String)
    /// There is no room key to encrypt with: prepare it first.
    case notPrepared
}

extension EncryptionError {
    /// Runs `body`, naming a ratchet's refusal as ours.
    static func wrapping<R>(_ body: () throws(RatchetError) -> R) throws(EncryptionError) -> R {
        do { return try body() } catch { throw .ratchet(error) }
    }
}
