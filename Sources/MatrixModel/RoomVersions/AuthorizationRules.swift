/// In what the authorization rules of the room versions differ. The defaults are version 1's.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules> and the same section of each other version
public struct AuthorizationRules: Sendable, Hashable {
    /// How a power level may be written.
    public enum PowerLevelFormat: Sendable, Hashable {
        /// Versions 1 to 5: an integer, a string of one, or a number whose fraction is cut off.
        case integersStringsOrFloats
        /// Versions 6 to 9, whose JSON has no fractions.
        case integersOrStrings
        /// From version 10, and whatever is written otherwise is rejected.
        case integers
    }

    /// Versions 1 and 2: a redaction is allowed with the redact level, or within one server (rule 11 there).
    public var redactionsNeedPower = true
    /// Versions 1 to 5: a server may set its own `m.room.aliases`, and only that one (rule 4 there).
    public var aliasesBelongToServer = true
    /// From version 6: `notifications` in `m.room.power_levels` is guarded as `events` is.
    public var notificationLevelsAreGuarded = false
    /// From version 7: the membership and join rule `knock`.
    public var knocking = false
    /// From version 8: the join rule `restricted`, and `join_authorised_via_users_server`.
    public var restrictedJoins = false
    /// From version 10: the join rule `knock_restricted`.
    public var knockRestrictedJoins = false
    /// How `m.room.power_levels` writes levels.
    public var powerLevelFormat = PowerLevelFormat.integersStringsOrFloats
    /// From version 11: the creator is the create event's sender; before, its `content.creator`.
    public var creatorIsSender = false
    /// Up to version 11: every event but the first names the create event among its auth events. After, none may.
    public var createIsAuthEvent = true
    /// From version 12: creators are above every power level, for good, and `additional_creators` are creators too.
    public var privilegedCreators = false
}
