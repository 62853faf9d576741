internal import Cryptography
internal import Ratchet

/// What a session's first keys are made of, besides Olm's three secrets, and how all of it is combined.
struct HybridAgreement: Sendable, Equatable {
    /// SHA-256 of the encapsulation key, by which its holder finds it.
    let keyHash: [UInt8]
    let ciphertext: [UInt8]

    private static let label = Array(HybridAlgorithm.name.utf8)

    /// Names the agreement: one session has one.
    var hash: [UInt8] { SHA256.hash(keyHash + ciphertext) }

    /// The 64 bytes that R₀ and the first chain key are cut from.
    ///
    /// HKDF-SHA-256 without salt; the input is ML-KEM's secret (32 bytes) and then Olm's (96), the info is the name of the
    /// algorithm and the SHA-256 of everything public: the sender's identity and base keys, the receiver's identity and
    /// one-time keys, the hash of the encapsulation key, the ciphertext. All have fixed lengths, so no two agreements give
    /// the same bytes. Neither secret alone, nor a part of another agreement, gives the output.
    func combined(
        _ secret: SecretBytes, _ sharedSecret: SecretBytes, _ keys: SessionKeys, receiver: Curve25519.PublicKey
    ) -> SecretBytes {
        let transcript =
            keys.identityKey.bytes + keys.baseKey.bytes + receiver.bytes + keys.oneTimeKey.bytes + keyHash + ciphertext
        return HKDFSHA256.deriveSecret(
            input: SecretBytes.joined([secret, sharedSecret]), salt: [UInt8](),
            info: Self.label + SHA256.hash(transcript), count: 64)
    }
}
