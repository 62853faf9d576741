public import Cryptography
import Synchronization

/// The same bytes for the same seed, in the order of asking. SplitMix64: good enough for tests, for nothing else.
public final class SeededRandomSource: RandomSource {
    private let state: Mutex<SplitMix64>

    /// A source for a seed.
    public init(seed: UInt64) { state = Mutex(SplitMix64(seed: seed)) }

    /// The next `count` bytes.
    public func bytes(_ count: Int) -> [UInt8] {
        state.withLock { generator in
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count + 8)
            while bytes.count < count {
                withUnsafeBytes(of: generator.next().littleEndian) { bytes.append(contentsOf: $0) }
            }
            return Array(bytes.prefix(count))
        }
    }
}

/// A seeded generator for shuffles and choices.
/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator for a seed.
    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
