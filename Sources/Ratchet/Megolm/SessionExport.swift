internal import Cryptography

/// A session's keys as they travel: to a device of the room (version 2, signed), or into a backup or a forward (1).
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/megolm/#session-sharing-format>,
/// <https://spec.matrix.org/v1.19/olm-megolm/megolm/#session-export-format>
struct SessionExport {
    enum Version: UInt8 {
        case exported = 1
        case shared = 2
    }

    let ratchet: MegolmRatchet
    let signingKey: Ed25519.PublicKey

    init(ratchet: MegolmRatchet, signingKey: Ed25519.PublicKey) {
        self.ratchet = ratchet
        self.signingKey = signingKey
    }

    init(parsing bytes: [UInt8], _ expected: Version) throws(RatchetError) {
        guard let version = bytes.first else { throw .malformed(rule: "a session key has a version") }
        guard version == expected.rawValue else { throw .unsupportedVersion(version) }
        let signedCount = 1 + 4 + MegolmRatchet.size + 32
        guard bytes.count == signedCount + (expected == .shared ? Ed25519.signatureSize : 0) else {
            throw .malformed(rule: "a session key has 229 bytes, an exported one 165")
        }
        let index = bytes[1..<5].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        ratchet = try MegolmRatchet(bytes: bytes[5..<(5 + MegolmRatchet.size)], index: index)
        let key = Array(bytes[(5 + MegolmRatchet.size)..<signedCount])
        signingKey = try translating { () throws(CryptographyError) in try Ed25519.PublicKey(key) }
        guard expected == .exported || signingKey.verifies(bytes[signedCount...], of: bytes[..<signedCount]) else {
            throw .wrongSignature
        }
    }

    func encoded(_ version: Version) -> [UInt8] {
        // Made at its full length, so that no shorter copy is left behind.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1 + 4 + MegolmRatchet.size + 32 + Ed25519.signatureSize)
        bytes.append(version.rawValue)
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: ratchet.index >> shift))
        }
        ratchet.secret.withBytes { bytes += $0 }
        bytes += signingKey.bytes
        return bytes
    }
}
