public import MatrixAPI
internal import Synchronization

/// Token buckets per key, on this node. Buckets that are full again are forgotten; their number is bounded.
public final class RateLimiter: Sendable {
    /// What is limited.
    public enum Subject: String, Sendable {
        case messages, logins, registrations, joins, invites, keyClaims, federation, other
    }

    private struct Key: Hashable {
        var subject: Subject
        var who: String
    }

    private struct Bucket {
        var tokens: Double
        var at: Duration
    }

    private static let maximumBuckets = 100_000
    private let limits: Mutex<HomeserverConfiguration.RateLimits>
    private let clock: any ServerClock
    private let buckets = Mutex<[Key: Bucket]>([:])

    public init(_ limits: HomeserverConfiguration.RateLimits, clock: any ServerClock) {
        self.limits = Mutex(limits)
        self.clock = clock
    }

    /// New limits, from a configuration that was read again.
    public func replace(_ limits: HomeserverConfiguration.RateLimits) { self.limits.withLock { $0 = limits } }

    /// Takes one from the bucket of `who`. Throws `M_LIMIT_EXCEEDED` with the time to wait when it is empty.
    public func take(_ subject: Subject, who: String) throws(MatrixError) {
        let limits = self.limits.withLock { $0 }
        guard limits.isEnabled else { return }
        let limit = limits[subject]
        let now = clock.monotonic()
        let wait: Double? = buckets.withLock { buckets in
            let key = Key(subject: subject, who: who)
            var bucket = buckets[key] ?? Bucket(tokens: limit.burst, at: now)
            let elapsed = max(0, Double((now - bucket.at) / .milliseconds(1)) / 1000)
            bucket.tokens = min(limit.burst, bucket.tokens + elapsed * limit.perSecond)
            bucket.at = now
            let allowed = bucket.tokens >= 1
            if allowed { bucket.tokens -= 1 }
            if buckets.count >= Self.maximumBuckets, buckets[key] == nil { Self.sweep(&buckets, now, limits) }
            buckets[key] = bucket
            return allowed ? nil : (1 - bucket.tokens) / max(limit.perSecond, 0.001)
        }
        if let wait { throw .limitExceeded(retryAfterMilliseconds: Int64(min(wait, 86_400) * 1000)) }
    }

    /// Forgets buckets that would be full by now, or all of them when none is.
    private static func sweep(
        _ buckets: inout [Key: Bucket], _ now: Duration, _ limits: HomeserverConfiguration.RateLimits
    ) {
        buckets = buckets.filter { key, bucket in
            let limit = limits[key.subject]
            let elapsed = Double((now - bucket.at) / .milliseconds(1)) / 1000
            return bucket.tokens + elapsed * limit.perSecond < limit.burst
        }
        if buckets.count >= maximumBuckets { buckets.removeAll(keepingCapacity: true) }
    }
}

extension HomeserverConfiguration.RateLimits {
    subscript(subject: RateLimiter.Subject) -> HomeserverConfiguration.RateLimit {
        switch subject {
        case .messages: messages
        case .logins: logins
        case .registrations: registrations
        case .joins: joins
        case .invites: invites
        case .keyClaims: keyClaims
        case .federation: federation
        case .other: other
        }
    }
}
