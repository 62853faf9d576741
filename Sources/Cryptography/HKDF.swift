private import COpenSSL

/// HKDF with SHA-256, RFC 5869.
public enum HKDFSHA256 {
    /// `count` bytes (at most 8,160) from the secret `input`. An empty `salt` stands for 32 zero bytes.
    public static func derive(input: [UInt8], salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
        deriveSecret(input: input, salt: salt, info: info, count: count).bytes
    }

    /// As above, as a secret; what it takes on the way is wiped.
    public static func deriveSecret(
        input: some ContiguousBytes, salt: some ContiguousBytes, info: [UInt8], count: Int
    ) -> SecretBytes {
        precondition(count >= 0 && count <= Limits.hkdfOutput, "HKDF-SHA-256 gives at most 8,160 bytes")
        let size = SHA256.size
        return SecretBytes(count: count, placement: .heap) { output in
            // The pseudorandom key, then the previous block, the info and the counter.
            withUnsafeTemporaryAllocation(byteCount: size * 3 + info.count + 1, alignment: 8) { scratch in
                defer { OPENSSL_cleanse(scratch.baseAddress, scratch.count) }
                let pseudorandomKey = UnsafeMutableRawBufferPointer(rebasing: scratch[..<size])
                let block = UnsafeMutableRawBufferPointer(rebasing: scratch[size..<(size * 2)])
                let message = UnsafeMutableRawBufferPointer(rebasing: scratch[(size * 2)...])
                input.withBytes { input in
                    salt.withBytes { Digest.sha256.authenticate(input, key: $0, into: pseudorandomKey) }
                }
                UnsafeMutableRawBufferPointer(rebasing: message[size...]).copyBytes(from: info)
                var counter: UInt8 = 1
                var written = 0
                while written < count {
                    message[message.count - 1] = counter
                    let text = written == 0 ? UnsafeRawBufferPointer(rebasing: message[size...]) : .init(message)
                    Digest.sha256.authenticate(text, key: .init(pseudorandomKey), into: block)
                    message.copyMemory(from: .init(block))
                    let taken = min(size, count - written)
                    UnsafeMutableRawBufferPointer(rebasing: output[written...])
                        .copyMemory(from: .init(rebasing: block[..<taken]))
                    written += taken
                    counter &+= 1
                }
            }
        }
    }
}
