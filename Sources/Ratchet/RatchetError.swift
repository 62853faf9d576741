internal import Cryptography

/// Why an operation was refused. Whatever was refused has changed nothing.
public enum RatchetError: Error, Equatable, Sendable {
    /// The bytes are not what they should be; `rule` says what was expected.
    case malformed(rule: String)
    /// A version byte that is not ours.
    case unsupportedVersion(UInt8)
    /// The message authentication code does not fit: altered bytes or another session.
    case wrongMAC
    /// The Ed25519 signature does not fit.
    case wrongSignature
    /// The key is of low order or of the wrong length.
    case refusedKey
    /// The one-time key of a pre-key message is not ours, or was used up.
    case unknownOneTimeKey
    /// The pre-key message belongs to another identity key or session.
    case wrongSession
    /// More than 2,000 messages are missing before this one.
    case tooManyMissing(Int)
    /// The message was read before, or it is too old for its key to have been kept.
    case messageKeyGone
    /// The Megolm session starts after this index.
    case indexTooOld(first: UInt32)
    /// The session has sent as many messages as it can.
    case exhausted
    /// Wrong key or passphrase, or altered bytes.
    case cannotOpen
    /// A number outside its limits; `rule` says which.
    case outOfRange(rule: String)

    init(_ error: CryptographyError) {
        switch error {
        case .wrongLength, .refusedPublicKey: self = .refusedKey
        case .decryptionFailed: self = .cannotOpen
        case .outOfRange: self = .outOfRange(rule: "parameters of a cipher")
        }
    }
}

/// Runs `body`, naming its error as one of ours.
func translating<R>(_ body: () throws(CryptographyError) -> R) throws(RatchetError) -> R {
    do { return try body() } catch { throw RatchetError(error) }
}
