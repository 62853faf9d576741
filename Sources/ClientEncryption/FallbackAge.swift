/// When a fallback key is renewed: once it was used, or when it is a week old. The one before it opens messages for an hour
/// more; until then there is no further one, so that none is lost that may be on its way. Times are in milliseconds.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys>
struct FallbackAge {
    let isUnused: Bool
    private(set) var madeAt: Int64
    /// When the present one was published in the place of another, which still opens messages.
    private(set) var replacedAt: Int64?

    init(isUnused: Bool, madeAt: Int64, replacedAt: Int64?) {
        (self.isUnused, self.madeAt, self.replacedAt) = (isUnused, madeAt, replacedAt)
    }

    /// What to do now. `isUnpublished`: whether the next one is made already.
    mutating func step(at now: Int64, isUnpublished: Bool) -> (forgetsPrevious: Bool, makesNext: Bool) {
        var forgets = false
        if let replaced = replacedAt {
            guard Period.isOver(Limits.previousFallbackMilliseconds, since: replaced, at: now) else {
                return (false, false)
            }
            (forgets, replacedAt) = (true, nil)
        }
        let isOld = Period.isOver(Limits.fallbackMilliseconds, since: madeAt, at: now)
        guard !isUnused || isOld, !isUnpublished else { return (forgets, false) }
        madeAt = now
        return (forgets, true)
    }
}
