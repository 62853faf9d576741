private import CSodium

/// XChaCha20-Poly1305: authenticated encryption whose 24-byte nonces may be random.
public enum XChaCha20Poly1305 {
    /// Bytes of a key.
    public static let keySize = 32
    private static let nonceSize = 24
    private static let tagSize = 16

    /// A fresh nonce, then the sealed bytes: 40 bytes more than `plaintext`. Throws `wrongLength` for the key.
    public static func seal(
        _ plaintext: some ContiguousBytes, key: [UInt8], additionalData: [UInt8] = [], random: some RandomSource
    ) throws(CryptographyError) -> [UInt8] {
        Sodium.start()
        guard key.count == keySize else { throw .wrongLength(expected: keySize, found: key.count) }
        let nonce = random.bytes(nonceSize)
        guard nonce.count == nonceSize else { throw .wrongLength(expected: nonceSize, found: nonce.count) }
        let sealed: [UInt8]? = plaintext.withBytes { plaintext in
            var sealed = [UInt8](repeating: 0, count: plaintext.count + tagSize)
            let result = crypto_aead_xchacha20poly1305_ietf_encrypt(
                &sealed, nil, plaintext.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(plaintext.count),
                additionalData, UInt64(additionalData.count), nil, nonce, key)
            return result == 0 ? sealed : nil
        }
        guard let sealed else { throw .outOfRange }
        return nonce + sealed
    }

    /// What `seal` was given. Throws `decryptionFailed` for another key, other additional data or altered bytes.
    public static func open(
        _ sealed: [UInt8], key: [UInt8], additionalData: [UInt8] = []
    ) throws(CryptographyError) -> [UInt8] {
        Sodium.start()
        guard key.count == keySize else { throw .wrongLength(expected: keySize, found: key.count) }
        guard sealed.count >= nonceSize + tagSize else { throw .decryptionFailed }
        let count = sealed.count - nonceSize - tagSize
        var plaintext = [UInt8](repeating: 0, count: count)
        let result = sealed.withUnsafeBufferPointer { sealed in
            guard let nonce = sealed.baseAddress else { return Int32(-1) }
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                &plaintext, nil, nil, nonce + nonceSize, UInt64(count + tagSize), additionalData,
                UInt64(additionalData.count), nonce, key)
        }
        guard result == 0 else { throw .decryptionFailed }
        return plaintext
    }
}
