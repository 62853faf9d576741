/// AES-256 in CBC mode with PKCS#7 padding. It authenticates nothing: check a MAC before you decrypt.
public enum AES256CBC {
    private static let cipher = Cipher("AES-256-CBC")

    /// Encrypts. `key` has 32 bytes, `iv` 16; else `wrongLength`.
    public static func encrypt(_ plaintext: [UInt8], key: [UInt8], iv: [UInt8]) throws(CryptographyError) -> [UInt8] {
        try plaintext.withBytesThrowing { (bytes) throws(CryptographyError) in
            try cipher.apply(to: bytes, key: key, iv: iv, encrypting: true)
        }
    }

    /// Decrypts; throws `decryptionFailed` if length or padding are wrong.
    public static func decrypt(
        _ ciphertext: some ContiguousBytes, key: [UInt8], iv: [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        try ciphertext.withBytesThrowing { (bytes) throws(CryptographyError) in
            guard !bytes.isEmpty, bytes.count.isMultiple(of: 16) else { throw .decryptionFailed }
            return try cipher.apply(to: bytes, key: key, iv: iv, encrypting: false)
        }
    }
}

/// AES-256 in counter mode: the same call encrypts and decrypts. It authenticates nothing.
public enum AES256CTR {
    private static let cipher = Cipher("AES-256-CTR")

    /// `key` has 32 bytes, `iv` (the first counter block) 16; else `wrongLength`.
    public static func apply(
        key: [UInt8], iv: [UInt8], to bytes: some ContiguousBytes
    ) throws(CryptographyError) -> [UInt8] {
        try bytes.withBytesThrowing { (bytes) throws(CryptographyError) in
            try cipher.apply(to: bytes, key: key, iv: iv, encrypting: true)
        }
    }
}

extension ContiguousBytes {
    func withBytesThrowing(
        _ body: (UnsafeRawBufferPointer) throws(CryptographyError) -> [UInt8]
    ) throws(CryptographyError) -> [UInt8] {
        try withBytes { bytes in Result { () throws(CryptographyError) in try body(bytes) } }.get()
    }
}
