internal import HomeserverStorage
internal import MatrixAPI
public import SQLDatabase
internal import Synchronization

/// Token buckets per subject and key: one limit for all nodes that share a PostgreSQL database.
///
/// On SQLite, whose only node this is, a bucket is a number in memory. On PostgreSQL it is a row, and most requests do without
/// it: a tenth of the limit may be taken at each node without asking (not of those that protect secrets), and whoever needs
/// more gets it from the row in blocks, so that even a busy user's requests rarely wait for one. A block not used by the time
/// the row has filled up again is void. So the limit holds for all nodes together, but for a tenth per further node; where
/// secrets are protected, to the token.
public final class RateLimiter: Sendable {
    /// What is limited.
    public enum Subject: String, Sendable {
        case messages, logins, registrations, joins, invites, keyClaims, keyFetches, federation, previews, policyEvents
        case other

        /// Whether it stands between somebody and a password, a token, or an account.
        var protectsSecrets: Bool { self == .logins || self == .registrations }
    }

    private struct Key: Hashable {
        var subject: Subject
        var who: String
    }

    private struct Bucket {
        /// What this node may give without asking.
        var tokens: Double
        var at: Duration
        /// What it got from the row, and until when that counts.
        var held = 0
        var heldUntil = Duration.zero
        /// The row was empty, and will be until then.
        var emptyUntil = Duration.zero
    }

    private enum Verdict {
        case allowed
        case refused(seconds: Double)
        case undecided
    }

    private typealias Limit = HomeserverConfiguration.RateLimit

    /// Of a limit, one in so many is given out by a node alone, and leased at once.
    private static let partsOfLimit = 10.0
    private static let maximumBuckets = 100_000

    private let limits: Mutex<HomeserverConfiguration.RateLimits>
    private let clock: any ServerClock
    private let database: any Database
    private let buckets = Mutex<[Key: Bucket]>([:])

    public init(_ limits: HomeserverConfiguration.RateLimits, clock: any ServerClock, database: any Database) {
        self.limits = Mutex(limits)
        self.clock = clock
        self.database = database
    }

    /// New limits, from a configuration that was read again.
    public func replace(_ limits: HomeserverConfiguration.RateLimits) {
        self.limits.withLock { $0 = limits }
        buckets.withLock { $0.removeAll() }
    }

    /// Takes one from the bucket of `who`. Throws `M_LIMIT_EXCEEDED` with the time to wait when it is empty, and
    /// `DatabaseError`.
    public func take(_ subject: Subject, who: String) async throws {
        let limits = self.limits.withLock { $0 }
        guard limits.isEnabled else { return }
        let key = Key(subject: subject, who: who)
        switch takeHere(key, limits) {
        case .allowed: return
        case .refused(let seconds):
            throw MatrixError.limitExceeded(retryAfterMilliseconds: max(1, Int64(min(seconds, 86_400) * 1000)))
        case .undecided: try await takeFromRow(key, limits[subject])
        }
    }

    /// What a node may give without asking.
    private func own(_ subject: Subject, _ limit: Limit) -> Limit {
        if database.dialect == .sqlite { return Limit(burst: max(1, limit.burst), perSecond: limit.perSecond) }
        if subject.protectsSecrets { return Limit(burst: 0, perSecond: 0) }
        return Limit(
            burst: (limit.burst / Self.partsOfLimit).rounded(.down), perSecond: limit.perSecond / Self.partsOfLimit)
    }

    private func takeHere(_ key: Key, _ limits: HomeserverConfiguration.RateLimits) -> Verdict {
        let own = self.own(key.subject, limits[key.subject])
        let now = clock.monotonic()
        return buckets.withLock { buckets in
            var bucket = buckets[key] ?? Bucket(tokens: own.burst, at: now)
            bucket.tokens = min(own.burst, bucket.tokens + Self.seconds(now - bucket.at) * own.perSecond)
            bucket.at = now
            if bucket.heldUntil < now { bucket.held = 0 }
            defer {
                if buckets.count >= Self.maximumBuckets, buckets[key] == nil { sweep(&buckets, now, limits) }
                buckets[key] = bucket
            }
            if bucket.tokens >= 1 {
                bucket.tokens -= 1
                return .allowed
            }
            if bucket.held > 0 {
                bucket.held -= 1
                return .allowed
            }
            if database.dialect == .sqlite {
                return .refused(seconds: (1 - bucket.tokens) / max(own.perSecond, 0.001))
            }
            return bucket.emptyUntil > now ? .refused(seconds: Self.seconds(bucket.emptyUntil - now)) : .undecided
        }
    }

    /// Asks the row for a block, of which one is for now.
    private func takeFromRow(_ key: Key, _ limit: Limit) async throws {
        let own = self.own(key.subject, limit)
        let size = TokenBucketStore.Size(
            burst: limit.burst - own.burst, perSecond: limit.perSecond - own.perSecond)
        let block = key.subject.protectsSecrets ? 1 : max(1, Int(min(limit.burst / Self.partsOfLimit, 1_000)))
        let bucket = "\(key.subject.rawValue) \(key.who)"
        let wall = clock.now()
        let answer = try await database.write { connection in
            let buckets = TokenBucketStore(connection)
            let answer = try buckets.take(block, from: bucket, size, now: wall)
            try buckets.removeFull(now: wall)
            return answer
        }
        let now = clock.monotonic()
        switch answer {
        case .given(let count):
            guard count > 1 else { return }
            buckets.withLock { buckets in
                guard var bucket = buckets[key] else { return }
                bucket.held += count - 1
                bucket.heldUntil = now + .seconds(Double(count) / size.perSecond)
                buckets[key] = bucket
            }
        case .empty(let milliseconds):
            buckets.withLock { $0[key]?.emptyUntil = now + .milliseconds(milliseconds) }
            throw MatrixError.limitExceeded(retryAfterMilliseconds: milliseconds)
        }
    }

    private static func seconds(_ duration: Duration) -> Double { max(0, duration / .seconds(1)) }

    /// Forgets buckets that would be as new by now, or all of them when none is.
    private func sweep(
        _ buckets: inout [Key: Bucket], _ now: Duration, _ limits: HomeserverConfiguration.RateLimits
    ) {
        buckets = buckets.filter { key, bucket in
            let own = self.own(key.subject, limits[key.subject])
            return bucket.tokens + Self.seconds(now - bucket.at) * own.perSecond < own.burst
                || (bucket.held > 0 && bucket.heldUntil > now) || bucket.emptyUntil > now
        }
        if buckets.count >= Self.maximumBuckets { buckets.removeAll(keepingCapacity: true) }
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
        case .keyFetches: keyFetches
        case .federation: federation
        case .previews: previews
        case .policyEvents: policyEvents
        case .other: other
        }
    }
}
