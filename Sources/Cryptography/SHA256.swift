private import COpenSSL

/// SHA-256, FIPS 180-4.
public enum SHA256 {
    /// Bytes of a hash.
    public static let size = 32

    /// The 32-byte hash of `bytes`; a part of an array is not copied.
    public static func hash(_ bytes: some ContiguousBytes) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            bytes.withBytes { hash($0, into: UnsafeMutableRawBufferPointer(buffer)) }
            count = size
        }
    }

    static func hash(_ bytes: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) {
        precondition(output.count >= size, "a hash has 32 bytes")
        var state = SHA256_CTX()
        defer { OPENSSL_cleanse(&state, MemoryLayout<SHA256_CTX>.size) }
        SHA256_Init(&state)
        if !bytes.isEmpty { SHA256_Update(&state, bytes.baseAddress, bytes.count) }
        SHA256_Final(output.baseAddress?.assumingMemoryBound(to: UInt8.self), &state)
    }

    /// A hash over bytes that come in pieces, such as an upload.
    public struct Stream: ~Copyable, Sendable {
        private let context: OpenSSLObject

        /// Of no bytes yet.
        public init() { context = Digest.sha256.begin() }

        deinit { Digest.free(context) }

        /// Adds the next piece.
        public mutating func update(_ bytes: some ContiguousBytes) {
            bytes.withBytes { Digest.sha256.update(context, with: $0) }
        }

        /// The 32-byte hash of all pieces.
        public consuming func finish() -> [UInt8] { Digest.sha256.finish(context) }
    }
}

/// SHA-1: only where a protocol still names it (TURN credentials), never to protect anything new.
public enum SHA1 {
    /// The 20-byte hash of `bytes`.
    public static func hash(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { Digest.sha1.hash($0) }
    }
}

/// An array or a slice of bytes.
public protocol ContiguousBytes {
    /// Lends the bytes.
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R
}

extension [UInt8]: ContiguousBytes {
    /// Lends the bytes.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { withUnsafeBytes(body) }
}

extension ArraySlice<UInt8>: ContiguousBytes {
    /// Lends the bytes.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { withUnsafeBytes(body) }
}
