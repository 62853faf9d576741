internal import Cryptography

/// Four hash chains of which each reseeds the next, so that any index is reached within about a thousand steps.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/megolm/#megolm-ratchet-algorithm>
struct MegolmRatchet: Sendable, Equatable {
    /// Bytes of all four parts.
    static let size = 128

    private var parts: [SecretBytes]
    private(set) var index: UInt32

    /// `bytes` are the 128 of R₀ to R₃.
    init(bytes: some Collection<UInt8>, index: UInt32) throws(RatchetError) {
        guard bytes.count == Self.size else { throw .malformed(rule: "a Megolm ratchet has 128 bytes") }
        let bytes = Array(bytes)
        parts = (0..<4).map { SecretBytes(Array(bytes[($0 * 32)..<($0 * 32 + 32)]), placement: .heap) }
        self.index = index
    }

    init(random: some RandomSource) {
        parts = (0..<4).map { _ in SecretBytes(random.bytes(32), placement: .heap) }
        index = 0
    }

    /// R₀ to R₃, for exports and pickles.
    var bytes: [UInt8] { secret.bytes }

    var secret: SecretBytes { .joined(parts) }

    /// The keys of the message at `index`.
    var cipherKeys: CipherKeys { CipherKeys(secret: secret, info: "MEGOLM_KEYS") }

    /// To the next index; after 2³² steps the index is 0 again.
    mutating func advance() {
        index &+= 1
        // The part that changes is the first whose lower bits are all zero; it reseeds those after it.
        let first = index & 0xff_ffff == 0 ? 0 : index & 0xffff == 0 ? 1 : index & 0xff == 0 ? 2 : 3
        reseed(from: first)
    }

    /// To any later index, at most 1,020 hashes away; an earlier one is reached through 2³².
    mutating func advance(to target: UInt32) {
        for part in 0..<4 {
            let shift = UInt32(24 - part * 8)
            var steps = ((target >> shift) &- (index >> shift)) & 0xff
            if steps == 0 {
                guard target < index else { continue }
                steps = 0x100
            }
            for _ in 1..<steps { hash(part, into: part) }
            reseed(from: part)
            index = (target >> shift) << shift
        }
    }

    private mutating func reseed(from part: Int) {
        for later in (part..<4).reversed() { hash(part, into: later) }
    }

    private mutating func hash(_ source: Int, into target: Int) {
        parts[target] = HMACSHA256.derive([UInt8(target)], from: parts[source])
    }
}
