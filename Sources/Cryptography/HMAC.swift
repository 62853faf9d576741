/// HMAC with SHA-256, RFC 2104.
public enum HMACSHA256 {
    /// The 32-byte code of `message` under `key`, which may have any length.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        message.withUnsafeBytes { message in key.withUnsafeBytes { Digest.sha256.authenticate(message, key: $0) } }
    }

    /// As above, over a part of an array, which is not copied.
    public static func authenticate(_ message: ArraySlice<UInt8>, key: [UInt8]) -> [UInt8] {
        message.withUnsafeBytes { message in key.withUnsafeBytes { Digest.sha256.authenticate(message, key: $0) } }
    }
}

/// HMAC with SHA-1, RFC 2104: for TURN credentials and registration by shared secret.
public enum HMACSHA1 {
    /// The 20-byte code of `message` under `key`.
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        message.withUnsafeBytes { message in key.withUnsafeBytes { Digest.sha1.authenticate(message, key: $0) } }
    }
}
