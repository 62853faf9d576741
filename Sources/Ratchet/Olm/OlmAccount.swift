public import Cryptography

/// The long-term keys of a device, and the one-time keys that begin its sessions.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-algorithms>
///
/// A value: a copy is a snapshot. Write it down after each call that changed it, before anything is sent.
public struct OlmAccount: Sendable {
    /// A key that begins one session, or, as a fallback key, several.
    public struct OneTimeKey: Sendable, Identifiable {
        /// What follows `signed_curve25519:` in the key's name.
        public let id: String
        /// What is uploaded, signed.
        public var publicKey: Curve25519.PublicKey { secret.publicKey }
        let secret: Curve25519.PrivateKey

        init(number: UInt64, secret: Curve25519.PrivateKey) {
            id = Base64.encode(
                (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - $0 * 8)) }, .urlSafeUnpadded)
            self.number = number
            self.secret = secret
        }

        let number: UInt64
    }

    /// How many one-time keys a server should hold.
    public static let maximumOneTimeKeys = Limits.publishedOneTimeKeys

    let signingKey: Ed25519.SigningKey
    let identitySecret: Curve25519.PrivateKey
    var nextNumber: UInt64
    /// Oldest first; those from `publishedBelow` on have not been published.
    var oneTimeKeys: [OneTimeKey]
    var publishedBelow: UInt64
    var fallback: OneTimeKey?
    var previousFallback: OneTimeKey?

    /// A new device.
    public init(random: some RandomSource) {
        signingKey = .generate(random)
        identitySecret = .generate(random)
        nextNumber = 1
        oneTimeKeys = []
        publishedBelow = 1
    }

    init(
        signingKey: Ed25519.SigningKey, identitySecret: Curve25519.PrivateKey, nextNumber: UInt64,
        oneTimeKeys: [OneTimeKey], publishedBelow: UInt64, fallback: OneTimeKey?, previousFallback: OneTimeKey?
    ) {
        self.signingKey = signingKey
        self.identitySecret = identitySecret
        self.nextNumber = nextNumber
        self.oneTimeKeys = oneTimeKeys
        self.publishedBelow = publishedBelow
        self.fallback = fallback
        self.previousFallback = previousFallback
    }

    /// The device's `ed25519` key.
    public var ed25519Key: Ed25519.PublicKey { signingKey.publicKey }
    /// The device's `curve25519` key.
    public var curve25519Key: Curve25519.PublicKey { identitySecret.publicKey }

    /// The 64-byte signature of the device key.
    public func sign(_ message: [UInt8]) -> [UInt8] { signingKey.sign(message) }

    /// The device's signing key, for signing JSON.
    public var ed25519SigningKey: Ed25519.SigningKey { signingKey }

    /// One-time keys to upload.
    public var unpublishedOneTimeKeys: [OneTimeKey] { oneTimeKeys.filter { $0.number >= publishedBelow } }
    /// The fallback key, if it is to be uploaded.
    public var unpublishedFallbackKey: OneTimeKey? {
        fallback.flatMap { $0.number >= publishedBelow ? $0 : nil }
    }
    /// One-time keys whose secret halves are kept, published or not.
    public var oneTimeKeyCount: Int { oneTimeKeys.count }

    /// Makes up to 5,000 one-time keys; the oldest ones go where there would be more.
    public mutating func generateOneTimeKeys(_ count: Int, random: some RandomSource) {
        for _ in 0..<min(max(count, 0), Limits.oneTimeKeys) { oneTimeKeys.append(newKey(random)) }
        oneTimeKeys.removeFirst(max(0, oneTimeKeys.count - Limits.oneTimeKeys))
    }

    /// Makes a fallback key. The one before it still works, until the next.
    public mutating func generateFallbackKey(random: some RandomSource) {
        previousFallback = fallback
        fallback = newKey(random)
    }

    /// Gives the fallback key the next name, under which it is unpublished: after an upload that was refused. The one before
    /// it stays.
    public mutating func renameFallbackKey() {
        guard let key = fallback else { return }
        fallback = OneTimeKey(number: nextNumber, secret: key.secret)
        nextNumber += 1
    }

    /// Forgets the fallback key before the present one.
    public mutating func forgetPreviousFallbackKey() { previousFallback = nil }

    /// After the upload succeeded.
    public mutating func markPublished() { publishedBelow = nextNumber }

    /// After an upload succeeded of keys made before `mark`, the `uploadMark` of that time: keys made since stay
    /// unpublished.
    public mutating func markPublished(upTo mark: UInt64) {
        publishedBelow = max(publishedBelow, min(mark, nextNumber))
    }

    /// Separates the keys made so far from those to come.
    public var uploadMark: UInt64 { nextNumber }

    /// A session to a device whose keys are known. Throws `refusedKey` for a key of low order. The specification has
    /// truncated codes only; full ones are for devices known to take them.
    public func outboundSession(
        identityKey: Curve25519.PublicKey, oneTimeKey: Curve25519.PublicKey, form: MACForm = .truncated,
        random: some RandomSource
    ) throws(RatchetError) -> OlmSession {
        try outboundSession(
            identityKey: identityKey, oneTimeKey: oneTimeKey, form: form, random: random,
            combining: OlmSession.specified)
    }

    /// As above, with another way to make the first keys: for key agreements built over this one.
    package func outboundSession(
        identityKey: Curve25519.PublicKey, oneTimeKey: Curve25519.PublicKey, form: MACForm, random: some RandomSource,
        combining: OlmSession.Combining
    ) throws(RatchetError) -> OlmSession {
        try .outbound(
            own: identitySecret, remote: identityKey, oneTimeKey: oneTimeKey, form: form, random: random,
            combining: combining)
    }

    /// The session that a pre-key message begins, and what it says. The one-time key is used up, a fallback key is not.
    ///
    /// Throws `wrongSession` if the message is not from `identityKey`, `unknownOneTimeKey` if its key is not ours, and
    /// whatever `OlmSession.decrypt` throws; then no key is used up.
    public mutating func inboundSession(
        identityKey: Curve25519.PublicKey, preKeyMessage: PreKeyMessage
    ) throws(RatchetError) -> (session: OlmSession, plaintext: [UInt8]) {
        try inboundSession(identityKey: identityKey, preKeyMessage: preKeyMessage, combining: OlmSession.specified)
    }

    /// As above, with another way to make the first keys.
    package mutating func inboundSession(
        identityKey: Curve25519.PublicKey, preKeyMessage: PreKeyMessage, combining: OlmSession.Combining
    ) throws(RatchetError) -> (session: OlmSession, plaintext: [UInt8]) {
        guard preKeyMessage.identityKey == identityKey else { throw .wrongSession }
        let position = oneTimeKeys.firstIndex { $0.publicKey == preKeyMessage.oneTimeKey }
        let fallbacks = [fallback, previousFallback].compactMap { $0 }
        guard
            let key = position.map({ oneTimeKeys[$0] })
                ?? fallbacks.first(where: { $0.publicKey == preKeyMessage.oneTimeKey })
        else { throw .unknownOneTimeKey }
        let (session, plaintext) = try OlmSession.inbound(
            own: identitySecret, oneTimeKey: key.secret, message: preKeyMessage, combining: combining)
        if let position { oneTimeKeys.remove(at: position) }
        return (session, plaintext)
    }

    private mutating func newKey(_ random: some RandomSource) -> OneTimeKey {
        defer { nextNumber += 1 }
        return OneTimeKey(number: nextNumber, secret: .generate(random))
    }
}
