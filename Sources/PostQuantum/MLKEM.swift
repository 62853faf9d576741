private import Crypto
internal import Cryptography
private import FoundationEssentials
internal import Ratchet

/// ML-KEM-768, FIPS 203, of swift-crypto.
enum MLKEM {
    static let seedSize = 64
    static let publicKeySize = 1184
    static let ciphertextSize = 1088
    static let secretSize = 32

    /// The encapsulation key that a seed (d and z) makes. Throws `refusedKey` for another length.
    static func publicKey(seed: SecretBytes) throws(RatchetError) -> [UInt8] {
        [UInt8](try privateKey(seed).publicKey.rawRepresentation)
    }

    static func isPublicKey(_ bytes: [UInt8]) -> Bool {
        bytes.count == publicKeySize && (try? MLKEM768.PublicKey(rawRepresentation: bytes)) != nil
    }

    /// A fresh secret for the holder of the key, and what carries it. Throws `refusedKey` for bytes that are no key.
    static func encapsulate(to publicKey: [UInt8]) throws(RatchetError) -> (ciphertext: [UInt8], secret: SecretBytes) {
        guard publicKey.count == publicKeySize, let key = try? MLKEM768.PublicKey(rawRepresentation: publicKey),
            let result = try? key.encapsulate()
        else { throw .refusedKey }
        return ([UInt8](result.encapsulated), kept(result.sharedSecret))
    }

    /// What a ciphertext carries; an altered one carries another secret, and nothing tells. Throws `refusedKey` for another
    /// length.
    static func decapsulate(_ ciphertext: [UInt8], seed: SecretBytes) throws(RatchetError) -> SecretBytes {
        guard ciphertext.count == ciphertextSize, let secret = try? privateKey(seed).decapsulate(ciphertext) else {
            throw .refusedKey
        }
        return kept(secret)
    }

    private static func privateKey(_ seed: SecretBytes) throws(RatchetError) -> MLKEM768.PrivateKey {
        let key = seed.withBytes { try? MLKEM768.PrivateKey(seedRepresentation: $0, publicKey: nil) }
        guard seed.count == seedSize, let key else { throw .refusedKey }
        return key
    }

    private static func kept(_ secret: SymmetricKey) -> SecretBytes {
        secret.withUnsafeBytes { bytes in
            SecretBytes(count: bytes.count, placement: .pooled) { $0.copyMemory(from: bytes) }
        }
    }
}
