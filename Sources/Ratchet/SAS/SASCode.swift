/// What two users compare.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sas-method-decimal>,
/// <https://spec.matrix.org/v1.19/client-server-api/#sas-method-emoji>
public struct SASCode: Sendable, Equatable {
    /// Six bytes, first bit first.
    private let bits: UInt64

    /// The first six of `bytes`; fewer are taken as zeros.
    init(_ bytes: [UInt8]) {
        bits = (0..<6).reduce(0) { $0 << 8 | UInt64($1 < bytes.count ? bytes[$1] : 0) }
    }

    /// Three numbers from 1,000 to 9,191.
    public var decimals: [Int] { [35, 22, 9].map { Int(bits >> $0 & 0x1fff) + 1000 } }

    /// Seven numbers from 0 to 63, of the spec's table of emoji.
    public var emojiNumbers: [Int] { (0..<7).map { Int(bits >> UInt64(42 - $0 * 6) & 63) } }

    /// Seven emoji with their English names.
    public var emoji: [SASEmoji] { emojiNumbers.map { SASEmoji.all[$0] } }
}
