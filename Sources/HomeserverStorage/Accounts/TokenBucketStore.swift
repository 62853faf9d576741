public import SQLDatabase

/// Token buckets that all nodes share. A row is kept only while something was taken from its bucket: it says when the bucket
/// will be full again, in microseconds since 1970, which with the rate says how much is in it.
public struct TokenBucketStore {
    /// What became of a wish.
    public enum Answer: Sendable, Hashable {
        /// So many tokens were given.
        case given(Int)
        /// The bucket is empty; the first token comes after so many milliseconds.
        case empty(milliseconds: Int64)
    }

    /// How much a bucket holds, and how fast it fills.
    public struct Size: Sendable, Hashable {
        public let burst: Double
        public let perSecond: Double

        /// - Parameters:
        ///   - burst: what a full bucket holds; at least 1.
        ///   - perSecond: how much comes back in a second; at least a thousandth.
        public init(burst: Double, perSecond: Double) {
            self.burst = min(max(burst, 1), 1e6)
            self.perSecond = min(max(perSecond, 0.001), 1e6)
        }

        /// Microseconds in which so many tokens come back.
        fileprivate func time(of tokens: Double) -> Int64 { Int64(tokens / perSecond * 1e6) }
    }

    /// Rows that are removed at once: more than are made.
    private static let removedAtOnce = 2

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Takes `count` tokens out of a bucket, or one where there are not so many.
    /// - Parameter now: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func take(_ count: Int = 1, from bucket: String, _ size: Size, now: Int64) throws -> Answer {
        let now = now * 1000
        for wanted in count > 1 && Double(count) <= size.burst ? [count, 1] : [1] {
            let cost = size.time(of: Double(wanted))
            let latest = now + size.time(of: size.burst)
            // One statement, so that of two nodes the second sees what the first took.
            let given = try connection.query(
                """
                INSERT INTO token_buckets (bucket, full_at) VALUES (\(bucket), \(now + cost))
                ON CONFLICT (bucket) DO UPDATE SET
                    full_at = \(raw: connection.dialect.greatest)(token_buckets.full_at, \(now)) + \(cost)
                WHERE \(raw: connection.dialect.greatest)(token_buckets.full_at, \(now)) + \(cost) <= \(latest)
                RETURNING full_at
                """)
            if !given.isEmpty { return .given(wanted) }
        }
        let full = try connection.query("SELECT full_at FROM token_buckets WHERE bucket = \(bucket)").first?.integer(0)
        let free = (full ?? now) + size.time(of: 1) - size.time(of: size.burst)
        return .empty(milliseconds: max(1, (free - now + 999) / 1000))
    }

    /// Gives a token back.
    /// - Throws: `DatabaseError`.
    public func giveBack(to bucket: String, _ size: Size) throws {
        try connection.execute(
            "UPDATE token_buckets SET full_at = full_at - \(size.time(of: 1)) WHERE bucket = \(bucket)")
    }

    /// Removes some buckets that are full: so the table holds no more than those in use. Waits for nobody; do it last in a
    /// transaction, so that others need not wait for each other.
    /// - Throws: `DatabaseError`.
    public func removeFull(now: Int64) throws {
        try connection.execute(
            """
            DELETE FROM token_buckets WHERE bucket IN (
                SELECT bucket FROM token_buckets WHERE full_at <= \(now * 1000)
                ORDER BY full_at LIMIT \(Self.removedAtOnce) \(raw: connection.dialect.forUpdateSkipLocked))
            """)
    }
}
