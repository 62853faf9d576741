internal import FedchatTesting
internal import Synchronization

/// Chance that follows from the seed. Each part of a simulation has one of its own, so that they do not disturb each other.
final class Chance: Sendable {
    private let generator: Mutex<SplitMix64>

    init(seed: UInt64) { generator = Mutex(SplitMix64(seed: seed)) }

    /// Another one, which follows from this.
    func fork() -> Chance { Chance(seed: next()) }

    func next() -> UInt64 { generator.withLock { $0.next() } }

    /// From 0 up to, but not including, `bound`; 0 for a bound below 1.
    func below(_ bound: Int) -> Int { bound < 1 ? 0 : Int(next() % UInt64(bound)) }

    func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    /// Whether something happens that does so many times in a thousand.
    func happens(_ permille: Int) -> Bool { below(1_000) < permille }

    func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[below(elements.count)]
    }

    func milliseconds(_ range: ClosedRange<Int>) -> Duration { .milliseconds(within(range)) }
    func microseconds(_ range: ClosedRange<Int>) -> Duration { .microseconds(within(range)) }

    /// A word of small letters.
    func word(_ count: Int) -> String {
        String((0..<count).map { _ in Character(UnicodeScalar(UInt8(ascii: "a") + UInt8(below(26)))) })
    }
}
