private import COpenSSL

/// HKDF with SHA-256, RFC 5869.
public enum HKDFSHA256 {
    /// `count` bytes (at most 8,160) from the secret `input`. An empty `salt` stands for 32 zero bytes.
    public static func derive(input: [UInt8], salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
        deriveSecret(input: input, salt: salt, info: info, count: count).bytes
    }

    /// As above, as a secret; what it takes on the way is wiped.
    public static func deriveSecret(
        input: some ContiguousBytes, salt: some ContiguousBytes, info: some ContiguousBytes, count: Int
    ) -> SecretBytes {
        precondition(count >= 0 && count <= Limits.hkdfOutput, "HKDF-SHA-256 gives at most 8,160 bytes")
        let size = SHA256.size
        return SecretBytes(count: count, placement: .pooled) { output in
            // The pseudorandom key, and the block at work.
            withUnsafeTemporaryAllocation(byteCount: size * 2, alignment: 16) { scratch in
                defer { OPENSSL_cleanse(scratch.baseAddress, scratch.count) }
                let pseudorandomKey = UnsafeMutableRawBufferPointer(rebasing: scratch[..<size])
                let block = UnsafeMutableRawBufferPointer(rebasing: scratch[size...])
                input.withBytes { input in
                    salt.withBytes { salt in HMACKey.with(salt) { $0.authenticate(input, into: pseudorandomKey) } }
                }
                info.withBytes { info in
                    HMACKey.with(.init(pseudorandomKey)) { key in expand(key, info, block: block, into: output) }
                }
            }
        }
    }

    private static func expand(
        _ key: borrowing HMACKey, _ info: UnsafeRawBufferPointer, block: UnsafeMutableRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) {
        // Each block is the code of the one before, the info and a counter.
        withUnsafeTemporaryAllocation(byteCount: info.count + 1, alignment: 16) { tail in
            tail.copyMemory(from: info)
            var counter: UInt8 = 1
            var written = 0
            while written < output.count {
                tail[info.count] = counter
                let before = UnsafeRawBufferPointer(rebasing: block[..<(written == 0 ? 0 : block.count)])
                key.authenticate(before, .init(tail), into: block)
                let taken = min(block.count, output.count - written)
                UnsafeMutableRawBufferPointer(rebasing: output[written...])
                    .copyMemory(from: .init(rebasing: block[..<taken]))
                written += taken
                counter &+= 1
            }
        }
    }
}
