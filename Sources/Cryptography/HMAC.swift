/// HMAC with SHA-256, RFC 2104.
public enum HMACSHA256 {
    /// The 32-byte code of `message` under `key`, which may have any length.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        message.withUnsafeBytes { message in key.withUnsafeBytes { Digest.sha256.authenticate(message, key: $0) } }
    }

    /// As above, over a part of an array, which is not copied.
    public static func authenticate(_ message: ArraySlice<UInt8>, key: some ContiguousBytes) -> [UInt8] {
        message.withUnsafeBytes { message in key.withBytes { Digest.sha256.authenticate(message, key: $0) } }
    }

    /// The code as a secret of its own: a step of a ratchet.
    public static func derive(_ message: some ContiguousBytes, from key: SecretBytes) -> SecretBytes {
        SecretBytes(count: SHA256.size, placement: .heap) { output in
            message.withBytes { message in
                key.withBytes { Digest.sha256.authenticate(message, key: $0, into: output) }
            }
        }
    }
}

/// HMAC with SHA-1, RFC 2104: for TURN credentials and registration by shared secret.
public enum HMACSHA1 {
    /// The 20-byte code of `message` under `key`.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        message.withUnsafeBytes { message in key.withUnsafeBytes { Digest.sha1.authenticate(message, key: $0) } }
    }
}
