/// What makes an event reach everybody who is in its room while it lasts, also who comes later (MSC4354, unstable).
public enum StickyEvent {
    /// The member of an event that says for how long.
    public static let field = "msc4354_sticky"
    /// The longest time, milliseconds: longer ones count as this.
    public static let maximumMilliseconds: Int64 = 3_600_000

    /// For how long an event is sticky, milliseconds; nil for others.
    public static func milliseconds(of event: PDU) -> Int64? {
        guard let time = event.document.root[field]?["duration_ms"]?.integer, time >= 0 else { return nil }
        return min(time, maximumMilliseconds)
    }

    /// Until when an event is sticky, milliseconds since 1970. One from the future begins now.
    public static func expiry(of event: PDU, now: Int64) -> Int64? {
        milliseconds(of: event).map { min(event.originServerTimestamp, now) + $0 }
    }
}
