/// HKDF with SHA-256, RFC 5869.
public enum HKDFSHA256 {
    /// `count` bytes (at most 8,160) from the secret `input`. An empty `salt` stands for 32 zero bytes.
    public static func derive(input: [UInt8], salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
        precondition(count >= 0 && count <= Limits.hkdfOutput, "HKDF-SHA-256 gives at most 8,160 bytes")
        let pseudorandomKey = HMACSHA256.authenticate(input, key: salt)
        var output: [UInt8] = []
        output.reserveCapacity(count + SHA256.size)
        var block: [UInt8] = []
        var counter: UInt8 = 1
        while output.count < count {
            block = HMACSHA256.authenticate(block + info + [counter], key: pseudorandomKey)
            output += block
            counter &+= 1
        }
        return Array(output.prefix(count))
    }
}
