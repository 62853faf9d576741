/// Which messages of a room are too old to stay.
public struct HistoryCut: Sendable, Hashable {
    /// Those sent before this time go: milliseconds since 1970.
    public var before: Int64
    /// Those at or before this place in the timeline go, whatever they say of their time. Nil where that is not known.
    public var upTo: Int64?
    /// What was sent before this time, and stands no later than what was taken out, does not come back.
    public var closes: Int64

    /// Those sent before a time, and those that came before a position.
    public init(before: Int64, upTo: Int64? = nil) {
        self.before = before
        self.upTo = upTo
        closes = before
    }

    /// Those at or before a place in the timeline.
    public init(upTo: Int64, closes: Int64) {
        before = .min
        self.upTo = upTo
        self.closes = closes
    }

    func takes(sent timestamp: Int64, at position: Int64) -> Bool {
        if timestamp < before { return true }
        return upTo.map { position <= $0 } ?? false
    }
}
