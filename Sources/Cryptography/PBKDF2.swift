private import COpenSSL

/// PBKDF2 with HMAC-SHA-512, RFC 8018.
public enum PBKDF2SHA512 {
    /// `count` bytes from a password. It takes long on purpose: call it on a thread that may block.
    ///
    /// Throws `outOfRange` for fewer than 1 or more than ten million rounds.
    public static func derive(
        password: [UInt8], salt: [UInt8], rounds: Int, count: Int
    ) throws(CryptographyError) -> [UInt8] {
        guard (1...Limits.pbkdf2Rounds).contains(rounds), (1...Limits.hkdfOutput).contains(count),
            let passwordCount = Int32(exactly: password.count), let saltCount = Int32(exactly: salt.count)
        else { throw .outOfRange }
        var output = [UInt8](repeating: 0, count: count)
        let done = password.withUnsafeBytes { password in
            PKCS5_PBKDF2_HMAC(
                password.baseAddress?.assumingMemoryBound(to: CChar.self), passwordCount, salt, saltCount,
                Int32(rounds), EVP_sha512(), Int32(count), &output)
        }
        guard done == 1 else { throw .outOfRange }
        return output
    }
}
