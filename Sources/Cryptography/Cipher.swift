private import COpenSSL

/// One of OpenSSL's ciphers with a 32-byte key and a 16-byte IV, fetched once.
struct Cipher: Sendable {
    private let algorithm: OpenSSLObject
    private let contexts = ContextPool(make: { EVP_CIPHER_CTX_new() }, free: { EVP_CIPHER_CTX_free($0) })

    private static let noKey = [UInt8](repeating: 0, count: 32)

    init(_ name: String) {
        guard let fetched = EVP_CIPHER_fetch(nil, name, nil) else { fatalError("OpenSSL lacks \(name)") }
        algorithm = OpenSSLObject(pointer: fetched)
    }

    func apply(
        to input: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, iv: UnsafeRawBufferPointer, encrypting: Bool
    ) throws(CryptographyError) -> [UInt8] {
        guard key.count == 32 else { throw .wrongLength(expected: 32, found: key.count) }
        guard iv.count == 16 else { throw .wrongLength(expected: 16, found: iv.count) }
        var succeeded = false
        let output = contexts.withContext { context in
            [UInt8](unsafeUninitializedCapacity: input.count + 32) { output, count in
                let written = run(context, input: input, key: key, iv: iv, encrypting: encrypting, output: output)
                // Another key in its place, for a reset would give up the memory that the next call needs.
                _ = EVP_CipherInit_ex2(context, algorithm.pointer, Self.noKey, Self.noKey, 1, nil)
                succeeded = written != nil
                count = written ?? 0
            }
        }
        guard succeeded else { throw .decryptionFailed }
        return output
    }

    /// The bytes written, or nil where OpenSSL refuses (bad padding).
    private func run(
        _ context: OpaquePointer, input: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer,
        iv: UnsafeRawBufferPointer, encrypting: Bool, output: UnsafeMutableBufferPointer<UInt8>
    ) -> Int? {
        guard let start = output.baseAddress,
            let key = key.baseAddress?.assumingMemoryBound(to: UInt8.self),
            let iv = iv.baseAddress?.assumingMemoryBound(to: UInt8.self),
            EVP_CipherInit_ex2(context, algorithm.pointer, key, iv, encrypting ? 1 : 0, nil) == 1
        else { return nil }
        var written = 0
        var read = 0
        while read < input.count {
            let part = min(Limits.cipherChunk, input.count - read)
            let from = input.baseAddress?.advanced(by: read).assumingMemoryBound(to: UInt8.self)
            var count: Int32 = 0
            guard EVP_CipherUpdate(context, start + written, &count, from, Int32(part)) == 1 else { return nil }
            read += part
            written += Int(count)
        }
        var count: Int32 = 0
        guard EVP_CipherFinal_ex(context, start + written, &count) == 1 else { return nil }
        return written + Int(count)
    }
}
