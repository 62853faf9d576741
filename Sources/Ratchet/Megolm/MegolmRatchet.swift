internal import Cryptography

/// Four hash chains of which each reseeds the next, so that any index is reached within about a thousand steps.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/megolm/#megolm-ratchet-algorithm>
struct MegolmRatchet: Sendable, Equatable {
    /// Bytes of all four parts.
    static let size = 128
    private static let partSize = 32

    /// R₀ to R₃, one after the other.
    private(set) var secret: SecretBytes
    private(set) var index: UInt32

    /// `bytes` are the 128 of R₀ to R₃.
    init(bytes: some ContiguousBytes, index: UInt32) throws(RatchetError) {
        secret = SecretBytes(bytes, placement: .pooled)
        guard secret.count == Self.size else { throw .malformed(rule: "a Megolm ratchet has 128 bytes") }
        self.index = index
    }

    init(random: some RandomSource) {
        var bytes = random.bytes(Self.size)
        defer { wipe(&bytes) }
        secret = SecretBytes(bytes, placement: .pooled)
        index = 0
    }

    /// The keys of the message at `index`.
    var cipherKeys: CipherKeys { CipherKeys(secret: secret, info: CipherPurpose.megolm) }

    /// To the next index; after 2³² steps the index is 0 again.
    mutating func advance() {
        index &+= 1
        // The part that changes is the first whose lower bits are all zero; it reseeds those after it.
        let first = index & 0xff_ffff == 0 ? 0 : index & 0xffff == 0 ? 1 : index & 0xff == 0 ? 2 : 3
        change { Self.reseed($0, from: first) }
    }

    /// To any later index, at most 1,020 hashes away; an earlier one is reached through 2³².
    mutating func advance(to target: UInt32) {
        var index = index
        change { parts in
            for part in 0..<4 {
                let shift = UInt32(24 - part * 8)
                var steps = ((target >> shift) &- (index >> shift)) & 0xff
                if steps == 0 {
                    guard target < index else { continue }
                    steps = 0x100
                }
                for _ in 1..<steps { Self.hash(parts, part, into: part) }
                Self.reseed(parts, from: part)
                index = (target >> shift) << shift
            }
        }
        self.index = index
    }

    /// Puts a changed copy in the place of the secret: other owners of the old one keep it.
    private mutating func change(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
        let old = secret
        secret = SecretBytes(count: Self.size, placement: .pooled) { parts in
            old.withBytes { parts.copyMemory(from: $0) }
            body(parts)
        }
    }

    private static func reseed(_ parts: UnsafeMutableRawBufferPointer, from part: Int) {
        for later in (part..<4).reversed() { hash(parts, part, into: later) }
    }

    private static func hash(_ parts: UnsafeMutableRawBufferPointer, _ source: Int, into target: Int) {
        let key = UnsafeRawBufferPointer(rebasing: parts[(source * partSize)..<((source + 1) * partSize)])
        let output = UnsafeMutableRawBufferPointer(rebasing: parts[(target * partSize)..<((target + 1) * partSize)])
        HMACSHA256.step(UInt8(target), key: key, into: output)
    }
}
