internal import SQLDatabase

/// How far a room's state was known when something was worked out by it.
public struct RoomKnowledge: Sendable, Hashable {
    /// Whether the room was joined without its members, and these are not all known yet.
    public var isPartial: Bool
    /// How often what is known of its past has changed since the room came here.
    public var changes: Int64

    /// Makes what is known of a room that was whole from the start.
    public init(isPartial: Bool = false, changes: Int64 = 0) {
        self.isPartial = isPartial
        self.changes = changes
    }

    /// From the flags of the room's row, which hold the changes above eight bits.
    init(flags: Int64) { self.init(isPartial: flags & 1 != 0, changes: flags >> 8) }

    /// The flags of the room's row.
    var flags: Int64 { changes << 8 | (isPartial ? 1 : 0) }

    /// The flags of a row after one change more.
    static func changed(isPartial: Bool) -> SQL { "flags = (flags / 256 + 1) * 256 + \(isPartial ? 1 : 0)" }
}
