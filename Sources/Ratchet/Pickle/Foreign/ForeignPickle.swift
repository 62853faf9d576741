internal import Cryptography

/// The seal of the pickles of libolm, which vodozemac kept: unpadded base64 of AES-256-CBC and eight bytes of a code, under
/// keys that HKDF makes of the caller's.
enum ForeignPickle {
    /// What was sealed. Throws `malformed`, `wrongMAC` for another key or altered bytes, or `cannotOpen`.
    static func opened(_ pickle: String, key: [UInt8]) throws(RatchetError) -> SecretBytes {
        guard pickle.utf8.count <= Limits.foreignPickleBytes else {
            throw .malformed(rule: "a pickle has at most 8 MiB")
        }
        guard let sealed = Base64.decode(pickle) else { throw .malformed(rule: "a pickle is base64") }
        guard sealed.count > MACForm.truncated.size else { throw .malformed(rule: "a pickle has a code") }
        let keys = CipherKeys(secret: key, info: CipherPurpose.pickle)
        let ciphertext = sealed.dropLast(MACForm.truncated.size)
        try keys.verify(sealed.suffix(MACForm.truncated.size), over: ciphertext)
        var plaintext = try keys.decrypt(ciphertext)
        defer { wipe(&plaintext) }
        return SecretBytes(plaintext, placement: .heap)
    }
}
