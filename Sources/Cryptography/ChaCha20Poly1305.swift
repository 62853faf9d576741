private import CSodium

/// ChaCha20-Poly1305, RFC 8439: authenticated encryption whose 12-byte nonces must not repeat under one key.
public enum ChaCha20Poly1305 {
    /// Bytes of a nonce.
    public static let nonceSize = 12
    private static let keySize = 32
    private static let tagSize = 16

    /// The sealed bytes, 16 more than `plaintext`. Throws `wrongLength` for key or nonce.
    public static func seal(
        _ plaintext: some ContiguousBytes, key: some ContiguousBytes, nonce: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        try check(key, nonce)
        let sealed: [UInt8]? = plaintext.withBytes { plaintext in
            key.withBytes { key in
                guard let key = key.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
                var sealed = [UInt8](repeating: 0, count: plaintext.count + tagSize)
                let result = crypto_aead_chacha20poly1305_ietf_encrypt(
                    &sealed, nil, plaintext.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(plaintext.count),
                    nil, 0, nil, nonce, key)
                return result == 0 ? sealed : nil
            }
        }
        guard let sealed else { throw .outOfRange }
        return sealed
    }

    /// What `seal` was given. Throws `wrongLength`, or `decryptionFailed` for another key, nonce or altered bytes.
    public static func open(
        _ sealed: [UInt8], key: some ContiguousBytes, nonce: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        try check(key, nonce)
        guard sealed.count >= tagSize else { throw .decryptionFailed }
        var plaintext = [UInt8](repeating: 0, count: sealed.count - tagSize)
        let result = key.withBytes { key in
            guard let key = key.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return Int32(-1) }
            return crypto_aead_chacha20poly1305_ietf_decrypt(
                &plaintext, nil, nil, sealed, UInt64(sealed.count), nil, 0, nonce, key)
        }
        guard result == 0 else { throw .decryptionFailed }
        return plaintext
    }

    private static func check(_ key: some ContiguousBytes, _ nonce: [UInt8]) throws(CryptographyError) {
        Sodium.start()
        let count = key.withBytes { $0.count }
        guard count == keySize else { throw .wrongLength(expected: keySize, found: count) }
        guard nonce.count == nonceSize else { throw .wrongLength(expected: nonceSize, found: nonce.count) }
    }
}
