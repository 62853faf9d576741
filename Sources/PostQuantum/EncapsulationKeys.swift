public import Cryptography
public import Ratchet

/// The ML-KEM-768 keys of a device, which begin its hybrid sessions: they stand beside the keys of its `OlmAccount`.
///
/// A value: a copy is a snapshot. Write it down after each call that changed it, before anything is sent.
public struct EncapsulationKeys: Sendable {
    /// A key that begins one session, or, as a fallback key, several.
    public struct Key: Sendable, Identifiable {
        let number: UInt64
        let seed: SecretBytes
        let hash: [UInt8]
        /// What is uploaded, signed by the device: 1,184 bytes.
        public let publicKey: [UInt8]

        /// What follows `HybridAlgorithm.keyAlgorithm` and a colon in the key's name.
        public var id: String {
            Base64.encode((0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - $0 * 8)) }, .urlSafeUnpadded)
        }

        init(number: UInt64, seed: SecretBytes) throws(RatchetError) {
            self.number = number
            self.seed = seed
            publicKey = try MLKEM.publicKey(seed: seed)
            hash = SHA256.hash(publicKey)
        }
    }

    /// How many one-time keys a server should hold.
    public static let maximumOneTimeKeys = Limits.publishedOneTimeKeys

    var nextNumber: UInt64
    /// Oldest first; those from `publishedBelow` on have not been published.
    var oneTimeKeys: [Key]
    var publishedBelow: UInt64
    var fallback: Key?
    var previousFallback: Key?

    /// None yet.
    public init() {
        nextNumber = 1
        oneTimeKeys = []
        publishedBelow = 1
    }

    /// One-time keys to upload.
    public var unpublishedOneTimeKeys: [Key] { oneTimeKeys.filter { $0.number >= publishedBelow } }
    /// The fallback key, if it is to be uploaded.
    public var unpublishedFallbackKey: Key? { fallback.flatMap { $0.number >= publishedBelow ? $0 : nil } }
    /// One-time keys whose seeds are kept, published or not.
    public var oneTimeKeyCount: Int { oneTimeKeys.count }

    /// Makes up to 500 one-time keys; the oldest ones go where there would be more.
    public mutating func generateOneTimeKeys(_ count: Int, random: some RandomSource) throws(RatchetError) {
        for _ in 0..<min(max(count, 0), Limits.oneTimeKeys) { oneTimeKeys.append(try newKey(random)) }
        oneTimeKeys.removeFirst(max(0, oneTimeKeys.count - Limits.oneTimeKeys))
    }

    /// Makes a fallback key. The one before it still works, until the next.
    public mutating func generateFallbackKey(random: some RandomSource) throws(RatchetError) {
        let key = try newKey(random)
        previousFallback = fallback
        fallback = key
    }

    /// Forgets the fallback key before the present one.
    public mutating func forgetPreviousFallbackKey() { previousFallback = nil }

    /// Separates the keys made so far from those to come.
    public var uploadMark: UInt64 { nextNumber }

    /// After an upload succeeded of keys made before `mark`, the `uploadMark` of that time.
    public mutating func markPublished(upTo mark: UInt64) {
        publishedBelow = max(publishedBelow, min(mark, nextNumber))
    }

    /// The session that a pre-key message begins, and what it says. The one-time keys of both kinds are used up, fallback
    /// keys are not.
    ///
    /// Throws `wrongSession` if the message is not from `identityKey`, `unknownOneTimeKey` if one of its keys is not ours, and
    /// whatever `OlmSession.decrypt` throws; then no key is used up.
    public mutating func inboundSession(
        of account: inout OlmAccount, identityKey: Curve25519.PublicKey, preKeyMessage message: HybridPreKeyMessage
    ) throws(RatchetError) -> (session: HybridSession, plaintext: [UInt8]) {
        let position = oneTimeKeys.firstIndex { $0.hash == message.agreement.keyHash }
        let fallbacks = [fallback, previousFallback].compactMap { $0 }
        guard
            let key = position.map({ oneTimeKeys[$0] })
                ?? fallbacks.first(where: { $0.hash == message.agreement.keyHash })
        else { throw .unknownOneTimeKey }
        let receiver = account.curve25519Key
        let (session, plaintext) = try account.inboundSession(
            identityKey: identityKey, preKeyMessage: message.inner
        ) { (sharedSecret, keys) throws(RatchetError) in
            let secret = try MLKEM.decapsulate(message.agreement.ciphertext, seed: key.seed)
            return message.agreement.combined(secret, sharedSecret, keys, receiver: receiver)
        }
        if let position { oneTimeKeys.remove(at: position) }
        return (
            HybridSession(session: session, agreementHash: message.agreement.hash, opening: nil), plaintext
        )
    }

    private mutating func newKey(_ random: some RandomSource) throws(RatchetError) -> Key {
        var seed = random.bytes(MLKEM.seedSize)
        defer { wipe(&seed) }
        let key = try Key(number: nextNumber, seed: SecretBytes(seed, placement: .pooled))
        nextNumber += 1
        return key
    }
}
