internal import Cryptography

/// What one secret becomes for one message: an AES-256-CBC key, an HMAC-SHA-256 key and an IV.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#cryptography>
struct CipherKeys {
    static let macSize = 8

    private let aesKey: SecretBytes
    private let macKey: SecretBytes
    private let iv: SecretBytes

    init(secret: SecretBytes, info: String) {
        let keys = HKDFSHA256.deriveSecret(input: secret, salt: [UInt8](), info: Array(info.utf8), count: 80)
        aesKey = keys.part(0..<32)
        macKey = keys.part(32..<64)
        iv = keys.part(64..<80)
    }

    func encrypt(_ plaintext: [UInt8]) throws(RatchetError) -> [UInt8] {
        try translating { () throws(CryptographyError) in
            try AES256CBC.encrypt(plaintext, key: aesKey, iv: iv)
        }
    }

    /// Call it only after `verify`.
    func decrypt(_ ciphertext: ArraySlice<UInt8>) throws(RatchetError) -> [UInt8] {
        try translating { () throws(CryptographyError) in
            try AES256CBC.decrypt(ciphertext, key: aesKey, iv: iv)
        }
    }

    /// The first eight bytes of the code over `bytes`.
    func mac(over bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        HMACSHA256.authenticate(bytes, key: macKey).prefix(Self.macSize)
    }

    func verify(_ mac: ArraySlice<UInt8>, over bytes: ArraySlice<UInt8>) throws(RatchetError) {
        guard constantTimeEquals(self.mac(over: bytes), mac) else { throw .wrongMAC }
    }
}
