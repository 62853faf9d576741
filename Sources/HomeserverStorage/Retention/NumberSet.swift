/// A set of numbers from 0 on, a bit each: for numbers that were given out one after the other.
struct NumberSet {
    private var words: [UInt64] = []

    /// Adds a number; what is negative or beyond the limits is not kept, and told by the answer.
    @discardableResult
    mutating func insert(_ number: Int64) -> Bool {
        guard number >= 0, number < Limits.keysCollected else { return false }
        let index = Int(number / 64)
        if index >= words.count {
            words += [UInt64](repeating: 0, count: max(1_024, index + 1 - words.count))
        }
        words[index] |= 1 << UInt64(number % 64)
        return true
    }

    func contains(_ number: Int64) -> Bool {
        guard number >= 0, number < Limits.keysCollected else { return true }
        let index = Int(number / 64)
        return index < words.count && words[index] & (1 << UInt64(number % 64)) != 0
    }
}
