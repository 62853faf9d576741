internal import Cryptography

/// R: from it and a Diffie-Hellman secret come the next root key and a new chain.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#advancing-the-root-key>
struct RootKey: Sendable, Equatable {
    let secret: SecretBytes

    init(_ secret: SecretBytes) { self.secret = secret }

    /// R₀ and the first chain, from the three secrets of the first message.
    static func initial(sharedSecret: SecretBytes) -> (RootKey, ChainKey) {
        split(HKDFSHA256.deriveSecret(input: sharedSecret, salt: [UInt8](), info: Array("OLM_ROOT".utf8), count: 64))
    }

    func advanced(
        own: Curve25519.PrivateKey, remote: Curve25519.PublicKey
    ) throws(RatchetError) -> (RootKey, ChainKey) {
        let secret = try translating { () throws(CryptographyError) in try own.agreement(with: remote) }
        return Self.split(
            HKDFSHA256.deriveSecret(input: secret, salt: self.secret, info: Array("OLM_RATCHET".utf8), count: 64))
    }

    private static func split(_ secret: SecretBytes) -> (RootKey, ChainKey) {
        (RootKey(secret.part(0..<32)), ChainKey(secret.part(32..<64), index: 0))
    }
}
