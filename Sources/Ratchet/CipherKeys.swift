internal import Cryptography

/// What one secret becomes for one message: an AES-256-CBC key, an HMAC-SHA-256 key and an IV.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#cryptography>
struct CipherKeys {
    static let macSize = 8

    private let aesKey: [UInt8]
    private let macKey: [UInt8]
    private let iv: [UInt8]

    init(secret: [UInt8], info: String) {
        let keys = HKDFSHA256.derive(input: secret, salt: [], info: Array(info.utf8), count: 80)
        aesKey = Array(keys[..<32])
        macKey = Array(keys[32..<64])
        iv = Array(keys[64...])
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
