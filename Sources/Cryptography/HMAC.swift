/// HMAC with SHA-256, RFC 2104.
public enum HMACSHA256 {
    /// The 32-byte code of `message` under `key`, which may have any length.
    public static func authenticate(_ message: some ContiguousBytes, key: some ContiguousBytes) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: SHA256.size) { buffer, count in
            let output = UnsafeMutableRawBufferPointer(buffer)
            message.withBytes { message in
                key.withBytes { key in HMACKey.with(key) { $0.authenticate(message, into: output) } }
            }
            count = SHA256.size
        }
    }

    /// The code of one byte as a secret of its own: a step of a ratchet.
    public static func derive(_ message: UInt8, from key: some ContiguousBytes) -> SecretBytes {
        SecretBytes(count: SHA256.size, placement: .pooled) { output in
            key.withBytes { step(message, key: $0, into: output) }
        }
    }

    /// As above, within a secret that is being made: `output`, 32 bytes, may be the key's own place.
    public static func step(
        _ message: UInt8, key: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) {
        withUnsafeBytes(of: message) { message in HMACKey.with(key) { $0.authenticate(message, into: output) } }
    }
}

/// HMAC with SHA-1, RFC 2104: for TURN credentials and registration by shared secret.
public enum HMACSHA1 {
    /// The 20-byte code of `message` under `key`.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        message.withUnsafeBytes { message in key.withUnsafeBytes { Digest.sha1.authenticate(message, key: $0) } }
    }
}
