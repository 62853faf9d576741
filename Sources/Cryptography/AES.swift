/// AES-256 in CBC mode with PKCS#7 padding. It authenticates nothing: check a MAC before you decrypt.
public enum AES256CBC {
    private static let cipher = Cipher("AES-256-CBC")

    /// Encrypts. `key` has 32 bytes, `iv` 16; else `wrongLength`.
    public static func encrypt(
        _ plaintext: [UInt8], key: some ContiguousBytes, iv: some ContiguousBytes
    ) throws(CryptographyError) -> [UInt8] {
        try apply(cipher, to: plaintext, key: key, iv: iv, encrypting: true)
    }

    /// Decrypts; throws `decryptionFailed` if length or padding are wrong.
    public static func decrypt(
        _ ciphertext: some ContiguousBytes, key: some ContiguousBytes, iv: some ContiguousBytes
    ) throws(CryptographyError) -> [UInt8] {
        let count = ciphertext.withBytes { $0.count }
        guard count > 0, count.isMultiple(of: 16) else { throw .decryptionFailed }
        return try apply(cipher, to: ciphertext, key: key, iv: iv, encrypting: false)
    }
}

/// AES-256 in counter mode: the same call encrypts and decrypts. It authenticates nothing.
public enum AES256CTR {
    private static let cipher = Cipher("AES-256-CTR")

    /// `key` has 32 bytes, `iv` (the first counter block) 16; else `wrongLength`.
    public static func apply(
        key: some ContiguousBytes, iv: some ContiguousBytes, to bytes: some ContiguousBytes
    ) throws(CryptographyError) -> [UInt8] {
        try Cryptography.apply(cipher, to: bytes, key: key, iv: iv, encrypting: true)
    }
}

private func apply(
    _ cipher: Cipher, to bytes: some ContiguousBytes, key: some ContiguousBytes, iv: some ContiguousBytes,
    encrypting: Bool
) throws(CryptographyError) -> [UInt8] {
    try bytes.withBytes { bytes in
        key.withBytes { key in
            iv.withBytes { iv in
                Result { () throws(CryptographyError) in
                    try cipher.apply(to: bytes, key: key, iv: iv, encrypting: encrypting)
                }
            }
        }
    }.get()
}
