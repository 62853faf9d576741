private import COpenSSL

/// SHA-512, FIPS 180-4, as Ed25519 uses it.
enum SHA512 {
    static let size = 64

    /// Writes the 64-byte hash of three pieces, one after the other. Its state is wiped: a piece may be secret.
    static func hash(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, _ third: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(output.count >= size, "a hash has 64 bytes")
        withUnsafeTemporaryAllocation(of: SHA512_CTX.self, capacity: 1) { states in
            defer { OPENSSL_cleanse(states.baseAddress, MemoryLayout<SHA512_CTX>.stride) }
            SHA512_Init(states.baseAddress)
            for piece in [first, second, third] where !piece.isEmpty {
                SHA512_Update(states.baseAddress, piece.baseAddress, piece.count)
            }
            SHA512_Final(output.baseAddress?.assumingMemoryBound(to: UInt8.self), states.baseAddress)
        }
    }
}
