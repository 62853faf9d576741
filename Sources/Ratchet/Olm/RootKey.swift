internal import Cryptography

/// R: from it and a Diffie-Hellman secret come the next root key and a new chain.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#advancing-the-root-key>
struct RootKey: Sendable, Equatable {
    let secret: SecretBytes

    init(_ secret: SecretBytes) { self.secret = secret }

    func advanced(
        own: Curve25519.PrivateKey, remote: Curve25519.PublicKey
    ) throws(RatchetError) -> (RootKey, ChainKey) {
        let secret = try translating { () throws(CryptographyError) in try own.agreement(with: remote) }
        return Self.split(
            HKDFSHA256.deriveSecret(input: secret, salt: self.secret, info: Array("OLM_RATCHET".utf8), count: 64))
    }

    /// R and a chain that begins, from 64 bytes.
    static func split(_ secret: SecretBytes) -> (RootKey, ChainKey) {
        (RootKey(secret.part(0..<32)), ChainKey(secret.part(32..<64), index: 0))
    }
}
