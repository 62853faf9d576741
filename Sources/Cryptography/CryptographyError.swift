/// Why a key, a cipher text or a parameter was refused. It never carries the bytes themselves.
public enum CryptographyError: Error, Equatable, Sendable {
    /// A key, nonce or salt of `found` bytes where `expected` are needed.
    case wrongLength(expected: Int, found: Int)
    /// A public key with which every shared secret is zero.
    case refusedPublicKey
    /// The authentication tag, the padding or the length does not fit: wrong key or altered bytes.
    case decryptionFailed
    /// More rounds, bytes or memory than `Limits` allow, or fewer than one.
    case outOfRange
}
