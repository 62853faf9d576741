/// How much of a room's history is for whom.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility>
public enum HistoryVisibility: String, Sendable, Hashable, CaseIterable {
    case worldReadable = "world_readable"
    case shared, invited, joined

    /// What an `m.room.history_visibility` event says; `shared` where there is none, or one that says nothing known.
    public init(_ event: PDU?) {
        self = event?.content["history_visibility"]?.string.flatMap { HistoryVisibility(rawValue: $0) } ?? .shared
    }
}

/// `m.room.encryption`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomencryption>
public struct RoomEncryption: Sendable, Hashable {
    /// `m.megolm.v1.aes-sha2`, or one that nobody knows: encrypted all the same.
    public let algorithm: String
    /// After how many milliseconds a new session begins.
    public let rotationPeriodMilliseconds: Int64
    /// After how many messages a new session begins.
    public let rotationPeriodMessages: Int64

    /// `nil` where the event names no algorithm.
    public init?(_ event: PDU) {
        guard let algorithm = event.content["algorithm"]?.string else { return nil }
        self.algorithm = algorithm
        rotationPeriodMilliseconds = event.content["rotation_period_ms"]?.integer ?? 604_800_000
        rotationPeriodMessages = event.content["rotation_period_msgs"]?.integer ?? 100
    }
}

/// `m.room.guest_access`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomguest_access>
public enum GuestAccess: String, Sendable, Hashable {
    case canJoin = "can_join"
    case forbidden

    /// What the event says; `forbidden` where there is none, or one that says nothing known.
    public init(_ event: PDU?) {
        self = event?.content["guest_access"]?.string.flatMap { GuestAccess(rawValue: $0) } ?? .forbidden
    }
}

/// `m.room.tombstone`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomtombstone>
public struct RoomTombstone: Sendable, Hashable {
    /// Where the conversation goes on.
    public let replacementRoom: RoomID?

    /// Reads the event; what is malformed is missing.
    public init(_ event: PDU) {
        replacementRoom = event.content["replacement_room"]?.string.flatMap { try? RoomID($0) }
    }
}

/// `m.room.canonical_alias`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomcanonical_alias>
public struct CanonicalAlias: Sendable, Hashable {
    /// The room's main alias.
    public let alias: RoomAlias?
    /// Other aliases that the room shows.
    public let alternatives: [RoomAlias]

    /// Reads the event; what is malformed is missing.
    public init(_ event: PDU) {
        alias = event.content["alias"]?.string.flatMap { try? RoomAlias($0) }
        alternatives = (event.content["alt_aliases"]?.elements ?? []).compactMap {
            $0.string.flatMap { try? RoomAlias($0) }
        }
    }
}
