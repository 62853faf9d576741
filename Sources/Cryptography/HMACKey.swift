internal import COpenSSL

/// A key of HMAC-SHA-256, RFC 2104, with its two blocks hashed: each message under it costs two blocks less. Its memory is on
/// the stack and wiped at the end of `with`.
struct HMACKey: ~Copyable {
    private static let blockSize = 64

    /// The hash after the inner block, the one after the outer block, and one to work with.
    private let states: UnsafeMutablePointer<SHA256_CTX>

    /// Lends the key that `key` makes, which may have any length.
    static func with<R>(_ key: UnsafeRawBufferPointer, _ body: (borrowing HMACKey) -> R) -> R {
        withUnsafeTemporaryAllocation(of: SHA256_CTX.self, capacity: 3) { states in
            guard let start = states.baseAddress else { fatalError("three states are not none") }
            defer { OPENSSL_cleanse(start, MemoryLayout<SHA256_CTX>.stride * 3) }
            return body(HMACKey(key, at: start))
        }
    }

    private init(_ key: UnsafeRawBufferPointer, at states: UnsafeMutablePointer<SHA256_CTX>) {
        self.states = states
        withUnsafeTemporaryAllocation(byteCount: Self.blockSize, alignment: 16) { block in
            defer { OPENSSL_cleanse(block.baseAddress, block.count) }
            block.initializeMemory(as: UInt8.self, repeating: 0)
            if key.count > Self.blockSize { SHA256.hash(key, into: block) } else { block.copyMemory(from: key) }
            for index in 0..<Self.blockSize { block[index] ^= 0x36 }
            SHA256_Init(states)
            SHA256_Update(states, block.baseAddress, Self.blockSize)
            for index in 0..<Self.blockSize { block[index] ^= 0x36 ^ 0x5c }
            SHA256_Init(states + 1)
            SHA256_Update(states + 1, block.baseAddress, Self.blockSize)
        }
    }

    /// Writes the 32-byte code of `first` followed by `second`; it may be written over either of them.
    func authenticate(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer = .init(start: nil, count: 0),
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(output.count >= SHA256.size, "a code has 32 bytes")
        let code = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let state = states + 2
        state.pointee = states.pointee
        if !first.isEmpty { SHA256_Update(state, first.baseAddress, first.count) }
        if !second.isEmpty { SHA256_Update(state, second.baseAddress, second.count) }
        SHA256_Final(code, state)
        state.pointee = states[1]
        SHA256_Update(state, code, SHA256.size)
        SHA256_Final(code, state)
    }
}
