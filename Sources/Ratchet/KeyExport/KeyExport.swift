public import Cryptography

/// A file of Megolm sessions under a passphrase. It takes long on purpose: call it on a thread that may block.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-exports>
public enum KeyExport {
    /// PBKDF2 rounds that take about half a second.
    public static let standardRounds = 500_000

    private static let begin = "-----BEGIN MEGOLM SESSION DATA-----"
    private static let end = "-----END MEGOLM SESSION DATA-----"
    private static let version: UInt8 = 1
    private static let macSize = 32

    /// The file's text, in lines of 76 characters. Throws `outOfRange` for fewer than 1 or more than ten million rounds.
    public static func seal(
        _ plaintext: [UInt8], passphrase: String, rounds: Int = standardRounds, random: some RandomSource
    ) throws(RatchetError) -> String {
        let salt = random.bytes(16)
        let iv = counterBlock(random)
        let (aesKey, macKey) = try keys(passphrase: passphrase, salt: salt, rounds: rounds)
        let ciphertext = try translating { () throws(CryptographyError) in
            try AES256CTR.apply(key: aesKey, iv: iv, to: plaintext)
        }
        let roundBytes = (0..<4).map { UInt8(truncatingIfNeeded: rounds >> (24 - $0 * 8)) }
        let signed = [version] + salt + iv + roundBytes + ciphertext
        let text = Base64.encode(signed + HMACSHA256.authenticate(signed, key: macKey), .standard)
        var lines: [String] = [begin]
        var rest = text.utf8[...]
        while !rest.isEmpty {
            lines.append(String(decoding: rest.prefix(76), as: UTF8.self))
            rest = rest.dropFirst(76)
        }
        return (lines + [end, ""]).joined(separator: "\n")
    }

    /// What was sealed. Throws `malformed`, `unsupportedVersion`, `outOfRange` for too many rounds, or `cannotOpen` for
    /// another passphrase or altered bytes.
    public static func open(_ file: String, passphrase: String) throws(RatchetError) -> [UInt8] {
        let bytes = try decoded(file)
        guard let version = bytes.first else { throw .malformed(rule: "a key file has a version") }
        guard version == Self.version else { throw .unsupportedVersion(version) }
        guard bytes.count >= 1 + 16 + 16 + 4 + macSize else {
            throw .malformed(rule: "a key file has a header and a code")
        }
        let rounds = bytes[33..<37].reduce(0) { $0 << 8 | Int($1) }
        let (aesKey, macKey) = try keys(passphrase: passphrase, salt: Array(bytes[1..<17]), rounds: rounds)
        let mac = HMACSHA256.authenticate(bytes.dropLast(macSize), key: macKey)
        guard constantTimeEquals(mac, bytes.suffix(macSize)) else { throw .cannotOpen }
        return try translating { () throws(CryptographyError) in
            try AES256CTR.apply(key: aesKey, iv: Array(bytes[17..<33]), to: bytes[37...].dropLast(macSize))
        }
    }

    private static func decoded(_ file: String) throws(RatchetError) -> [UInt8] {
        guard file.utf8.count <= Limits.keyFileBytes else { throw .malformed(rule: "a key file has at most 1 GiB") }
        let lines = file.split(whereSeparator: \.isNewline)
        guard let first = lines.firstIndex(where: { $0.hasPrefix(begin) }),
            let last = lines[first...].firstIndex(where: { $0.hasPrefix(end) })
        else { throw .malformed(rule: "a key file has a first and a last line") }
        let text = lines[(first + 1)..<last].joined().utf8.filter { $0 > 0x20 }
        guard let bytes = Base64.decode(text) else { throw .malformed(rule: "a key file is base64") }
        return bytes
    }

    private static func keys(
        passphrase: String, salt: [UInt8], rounds: Int
    ) throws(RatchetError) -> (aes: SecretView, mac: SecretView) {
        guard (1...Limits.passphraseRounds).contains(rounds) else {
            throw .outOfRange(rule: "1 to 10,000,000 PBKDF2 rounds")
        }
        var bytes = try translating { () throws(CryptographyError) in
            try PBKDF2SHA512.derive(password: Array(passphrase.utf8), salt: salt, rounds: rounds, count: 64)
        }
        let keys = SecretBytes(bytes, placement: .pooled)
        wipe(&bytes)
        return (keys.view(0..<32), keys.view(32..<64))
    }
}

/// A random first counter block. Bit 63 is zero "to work around differences in AES-CTR implementations".
func counterBlock(_ random: some RandomSource) -> [UInt8] {
    var block = random.bytes(16)
    block[8] &= 0x7f
    return block
}
