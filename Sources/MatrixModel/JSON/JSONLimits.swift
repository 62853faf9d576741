/// How large a JSON text may be before it is refused.
public struct JSONLimits: Sendable, Hashable {
    /// The longest text, in bytes.
    public var maximumBytes: Int
    /// How many arrays and objects may lie within each other.
    public var maximumDepth: Int
    /// How many values and keys the text may hold; never more than 2^24 - 1, which is what a node can count.
    public var maximumNodes: Int

    /// Limits of one's own.
    public init(maximumBytes: Int, maximumDepth: Int, maximumNodes: Int) {
        self.maximumBytes = min(maximumBytes, 1 << 31)
        self.maximumDepth = maximumDepth
        self.maximumNodes = min(maximumNodes, JSONNode.maximumCount)
    }

    /// 64 MiB, a depth of 100, four million nodes: for bodies whose length the caller has bounded already.
    public static let `default` = JSONLimits(maximumBytes: 64 << 20, maximumDepth: 100, maximumNodes: 4 << 20)
}
