internal import Cryptography

/// R: from it and a Diffie-Hellman secret come the next root key and a new chain.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#advancing-the-root-key>
struct RootKey: Sendable, Equatable {
    let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// R₀ and the first chain, from the three secrets of the first message.
    static func initial(sharedSecret: [UInt8]) -> (RootKey, ChainKey) {
        split(HKDFSHA256.derive(input: sharedSecret, salt: [], info: Array("OLM_ROOT".utf8), count: 64))
    }

    func advanced(
        own: Curve25519.PrivateKey, remote: Curve25519.PublicKey
    ) throws(RatchetError) -> (RootKey, ChainKey) {
        let secret = try translating { () throws(CryptographyError) in try own.sharedSecret(with: remote) }
        return Self.split(HKDFSHA256.derive(input: secret, salt: bytes, info: Array("OLM_RATCHET".utf8), count: 64))
    }

    private static func split(_ bytes: [UInt8]) -> (RootKey, ChainKey) {
        (RootKey(bytes: Array(bytes.prefix(32))), ChainKey(bytes: Array(bytes.suffix(32)), index: 0))
    }
}
