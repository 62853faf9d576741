/// How long a server that failed is left alone: twice as long each time, with some chance in it, up to a bound.
struct Backoff: Sendable {
    /// Milliseconds after the first failure.
    static let first: Int64 = 5_000

    /// Milliseconds.
    var maximum: Int64
    /// Whether to wait longer each time; without, always the first pause.
    var grows: Bool

    /// The pause after so many failures in a row, milliseconds. `chance` is a byte at random.
    func pause(failures: Int, chance: UInt8) -> Int64 {
        guard grows else { return Self.first }
        let doubled = Self.first << Int64(min(max(failures, 0), 30))
        let bounded = min(doubled, maximum)
        // Between 80 and 120 per cent, so that those who failed together do not return together.
        return bounded * (800 + Int64(chance) * 400 / 255) / 1000
    }
}
