internal import Cryptography

/// What one secret becomes for one message: an AES-256-CBC key, an HMAC-SHA-256 key and an IV.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#cryptography>
struct CipherKeys {
    private let keys: SecretBytes

    init(secret: some ContiguousBytes, info: [UInt8]) {
        keys = HKDFSHA256.deriveSecret(input: secret, salt: [UInt8](), info: info, count: 80)
    }

    func encrypt(_ plaintext: [UInt8]) throws(RatchetError) -> [UInt8] {
        try translating { () throws(CryptographyError) in
            try AES256CBC.encrypt(plaintext, key: keys.view(0..<32), iv: keys.view(64..<80))
        }
    }

    /// Call it only after `verify`.
    func decrypt(_ ciphertext: ArraySlice<UInt8>) throws(RatchetError) -> [UInt8] {
        try translating { () throws(CryptographyError) in
            try AES256CBC.decrypt(ciphertext, key: keys.view(0..<32), iv: keys.view(64..<80))
        }
    }

    /// The code over `bytes`, or its first eight bytes.
    func mac(over bytes: some ContiguousBytes, _ form: MACForm = .truncated) -> ArraySlice<UInt8> {
        HMACSHA256.authenticate(bytes, key: keys.view(32..<64)).prefix(form.size)
    }

    func verify(
        _ mac: ArraySlice<UInt8>, over bytes: some ContiguousBytes, _ form: MACForm = .truncated
    ) throws(RatchetError) {
        guard constantTimeEquals(self.mac(over: bytes, form), mac) else { throw .wrongMAC }
    }
}

/// What the keys of each kind of message are derived for.
enum CipherPurpose {
    static let olm = Array("OLM_KEYS".utf8)
    static let megolm = Array("MEGOLM_KEYS".utf8)
    static let pickle = Array("Pickle".utf8)
    static let backup: [UInt8] = []
}
