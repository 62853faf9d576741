/// Words of eight bytes, so that a string is looked through eight bytes at a time.
enum JSONBytes {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let highs: UInt64 = 0x8080_8080_8080_8080

    /// Eight bytes, the first as the lowest. Bounds are checked by `RawSpan`.
    @inline(__always)
    static func word(_ text: Span<UInt8>, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: text.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// A high bit at each byte that ends a plain ASCII run of a string: quote, backslash, control, non-ASCII. Above the
    /// lowest such byte there may be false ones.
    @inline(__always)
    static func special(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let isQuote = (quote &- ones) & ~quote
        let isBackslash = (backslash &- ones) & ~backslash
        let isControl = (word &- (ones &* 0x20)) & ~word
        return (isQuote | isBackslash | isControl | word) & highs
    }

    /// A hash of a key by its length, its first and its last eight bytes. It only speeds up comparisons: equal hashes
    /// are always followed by a look at the bytes, and nothing grows with the number of collisions.
    @inline(__always)
    static func keyHash(_ text: Span<UInt8>, _ start: Int, _ count: Int) -> UInt32 {
        var first: UInt64 = 0
        var last: UInt64 = 0
        if count >= 8 {
            first = word(text, start)
            last = word(text, start + count - 8)
        } else if count > 0, start + 8 <= text.count {
            first = word(text, start) & (UInt64.max >> UInt64(64 - 8 * count))
        } else {
            var index = count
            while index > 0 {
                index -= 1
                first = first << 8 | UInt64(text[start + index])
            }
        }
        var hash = (first ^ (UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15)) &* 0xBF58_476D_1CE4_E5B9
        hash ^= hash >> 29
        hash = (hash ^ last) &* 0x94D0_49BB_1331_11EB
        return UInt32(truncatingIfNeeded: hash >> 32)
    }

    /// Whether two ranges of the same length hold the same bytes.
    @inline(__always)
    static func equal(_ left: Span<UInt8>, _ leftStart: Int, _ right: Span<UInt8>, _ rightStart: Int, _ count: Int)
        -> Bool
    {
        var index = 0
        while index + 8 <= count {
            if word(left, leftStart + index) != word(right, rightStart + index) { return false }
            index += 8
        }
        while index < count {
            if left[leftStart + index] != right[rightStart + index] { return false }
            index += 1
        }
        return true
    }

    /// Whether one range comes before the other in the order of bytes, which for UTF-8 is that of code points.
    @inline(__always)
    static func precedes(_ text: Span<UInt8>, _ left: Range<Int>, _ right: Range<Int>) -> Bool {
        let count = min(left.count, right.count)
        var index = 0
        while index + 8 <= count {
            let leftWord = word(text, left.lowerBound + index)
            let rightWord = word(text, right.lowerBound + index)
            if leftWord != rightWord { return leftWord.byteSwapped < rightWord.byteSwapped }
            index += 8
        }
        while index < count {
            let leftByte = text[left.lowerBound + index]
            let rightByte = text[right.lowerBound + index]
            if leftByte != rightByte { return leftByte < rightByte }
            index += 1
        }
        return left.count < right.count
    }
}
