/// A 32-byte key as text to write down.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#cryptographic-key-representation>
public enum RecoveryKey {
    private static let prefix: [UInt8] = [0x8b, 0x01]
    private static let alphabet = Array("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".utf8)

    /// Base58 in groups of four. Throws `refusedKey` unless there are 32 bytes.
    public static func encode(_ key: [UInt8]) throws(RatchetError) -> String {
        guard key.count == 32 else { throw .refusedKey }
        let bytes = prefix + key
        let text = base58(bytes + [bytes.reduce(0, ^)])
        var groups: [String] = []
        var rest = text[...]
        while !rest.isEmpty {
            groups.append(String(decoding: rest.prefix(4), as: UTF8.self))
            rest = rest.dropFirst(4)
        }
        return groups.joined(separator: " ")
    }

    /// The 32 bytes; white space does not matter. Throws `malformed` for other characters, another prefix, a wrong
    /// parity byte or another length.
    public static func decode(_ text: String) throws(RatchetError) -> [UInt8] {
        let digits = text.unicodeScalars.filter { !$0.properties.isWhitespace }
        guard digits.count <= 64 else { throw .malformed(rule: "a recovery key has 48 characters") }
        var bytes: [UInt8] = []
        for digit in digits {
            guard digit.isASCII, let value = alphabet.firstIndex(of: UInt8(truncatingIfNeeded: digit.value)) else {
                throw .malformed(rule: "a recovery key is base58")
            }
            var carry = value
            for index in bytes.indices.reversed() {
                carry += Int(bytes[index]) * 58
                bytes[index] = UInt8(carry & 0xff)
                carry >>= 8
            }
            if carry > 0 { bytes.insert(UInt8(carry), at: 0) }
        }
        guard bytes.count == 35 else { throw .malformed(rule: "a recovery key has 35 bytes") }
        guard Array(bytes.prefix(2)) == prefix else { throw .malformed(rule: "a recovery key starts with 8B 01") }
        guard bytes.reduce(0, ^) == 0 else { throw .malformed(rule: "the parity byte is the XOR of all before") }
        return Array(bytes[2..<34])
    }

    private static func base58(_ bytes: [UInt8]) -> [UInt8] {
        var digits: [Int] = []
        for byte in bytes {
            var carry = Int(byte)
            for index in digits.indices {
                carry += digits[index] << 8
                digits[index] = carry % 58
                carry /= 58
            }
            while carry > 0 {
                digits.append(carry % 58)
                carry /= 58
            }
        }
        // The first byte is never zero, so there are no leading ones to write.
        return digits.reversed().map { alphabet[$0] }
    }
}
