private import COpenSSL

/// One of OpenSSL's hash functions, fetched once.
struct Digest: Sendable {
    let size: Int
    let blockSize: Int
    private let algorithm: OpenSSLObject

    static let sha256 = Digest("SHA256")
    static let sha1 = Digest("SHA1")

    private static let contexts = ContextPool(make: { EVP_MD_CTX_new() }, free: { EVP_MD_CTX_free($0) })

    private init(_ name: String) {
        guard let fetched = EVP_MD_fetch(nil, name, nil) else { fatalError("OpenSSL lacks \(name)") }
        algorithm = OpenSSLObject(pointer: fetched)
        size = Int(EVP_MD_get_size(fetched))
        blockSize = Int(EVP_MD_get_block_size(fetched))
    }

    func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        Self.contexts.withContext { context in
            output { digest(first: bytes, then: .init(start: nil, count: 0), with: context, into: $0) }
        }
    }

    /// HMAC, RFC 2104.
    func authenticate(_ message: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer) -> [UInt8] {
        output { authenticate(message, key: key, into: $0) }
    }

    /// As above, into `size` bytes, which may not be those of the key.
    func authenticate(
        _ message: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) {
        Self.contexts.withContext { context in
            withUnsafeTemporaryAllocation(byteCount: blockSize * 2 + size, alignment: 8) { scratch in
                defer { OPENSSL_cleanse(scratch.baseAddress, scratch.count) }
                let inner = UnsafeMutableRawBufferPointer(rebasing: scratch[..<blockSize])
                let outer = UnsafeMutableRawBufferPointer(rebasing: scratch[blockSize..<(2 * blockSize)])
                let middle = UnsafeMutableRawBufferPointer(rebasing: scratch[(2 * blockSize)...])
                scratch.initializeMemory(as: UInt8.self, repeating: 0)
                if key.count > blockSize {
                    digest(first: key, then: .init(start: nil, count: 0), with: context, into: inner)
                } else {
                    inner.copyMemory(from: key)
                }
                for i in 0..<blockSize {
                    outer[i] = inner[i] ^ 0x5c
                    inner[i] ^= 0x36
                }
                digest(first: .init(inner), then: message, with: context, into: middle)
                digest(first: .init(outer), then: .init(middle), with: context, into: output)
            }
        }
    }

    /// Hashes bytes that come in pieces.
    func begin() -> OpenSSLObject {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex2(context, algorithm.pointer, nil) == 1 else {
            fatalError("OpenSSL is out of memory")
        }
        return OpenSSLObject(pointer: context)
    }

    func update(_ context: OpenSSLObject, with bytes: UnsafeRawBufferPointer) {
        guard EVP_DigestUpdate(context.pointer, bytes.baseAddress, bytes.count) == 1 else { Self.failed() }
    }

    func finish(_ context: OpenSSLObject) -> [UInt8] {
        output { if EVP_DigestFinal_ex(context.pointer, Self.bytes($0), nil) != 1 { Self.failed() } }
    }

    static func free(_ context: OpenSSLObject) { EVP_MD_CTX_free(context.pointer) }

    private func digest(
        first: UnsafeRawBufferPointer, then second: UnsafeRawBufferPointer, with context: OpaquePointer,
        into output: UnsafeMutableRawBufferPointer
    ) {
        guard EVP_DigestInit_ex2(context, algorithm.pointer, nil) == 1,
            EVP_DigestUpdate(context, first.baseAddress, first.count) == 1,
            second.isEmpty || EVP_DigestUpdate(context, second.baseAddress, second.count) == 1,
            EVP_DigestFinal_ex(context, Self.bytes(output), nil) == 1
        else { Self.failed() }
    }

    private func output(_ fill: (UnsafeMutableRawBufferPointer) -> Void) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            fill(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<size]))
            count = size
        }
    }

    private static func bytes(_ buffer: UnsafeMutableRawBufferPointer) -> UnsafeMutablePointer<UInt8>? {
        buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }

    private static func failed() -> Never { fatalError("OpenSSL cannot hash") }
}
