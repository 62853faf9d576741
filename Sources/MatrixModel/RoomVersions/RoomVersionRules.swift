/// What a room version says, as data: each version is the one before it and its differences.
/// Spec: <https://spec.matrix.org/v1.19/rooms/#feature-matrix>
public struct RoomVersionRules: Sendable, Hashable {
    /// How an event gets its id, and with it how it names other events.
    public enum EventIDFormat: Sendable, Hashable {
        /// `$opaque:server`, chosen by the server and sent in the event; references are `[id, {"sha256": hash}]`.
        case randomWithServer
        /// `$` and the reference hash in unpadded standard base64.
        case base64Hash
        /// `$` and the reference hash in unpadded URL-safe base64.
        case urlSafeBase64Hash
    }

    /// The algorithm that merges forks of a room's state.
    public enum StateResolution: Sendable, Hashable {
        case v1
        case v2
        /// Version 2 starting from an empty state, with the conflicted state subgraph.
        case v2_1
    }

    /// Where a redaction names the event it redacts.
    public enum RedactsLocation: Sendable, Hashable {
        case topLevel
        case content
    }

    /// How events are named.
    public var eventIDFormat = EventIDFormat.randomWithServer
    /// How forks of the state are merged.
    public var stateResolution = StateResolution.v1
    /// A signing key counts only for events before its `valid_until_ts`.
    public var enforceKeyValidity = false
    /// Canonical JSON is a condition, not only an encoding: no fractions, no integers beyond ±(2^53 − 1).
    public var strictCanonicalJSON = false
    /// The greatest `depth` of an event.
    public var maximumDepth = Int64.max
    /// The room's id is the create event's id with `!` for `$`, and the create event has no `room_id`.
    public var roomIDIsCreateEventHash = false
    /// Where a redaction has its `redacts`.
    public var redactsLocation = RedactsLocation.topLevel
    /// What a redaction leaves.
    public var redaction = RedactionRules.v1
    /// In what the authorization rules differ.
    public var authorization = AuthorizationRules()

    /// The event's id is a field of the event, and references carry hashes beside ids.
    public var eventIDIsSent: Bool { eventIDFormat == .randomWithServer }

    /// These rules with some changes.
    public func changing(_ change: (inout RoomVersionRules) -> Void) -> RoomVersionRules {
        var rules = self
        change(&rules)
        return rules
    }

    /// <https://spec.matrix.org/v1.19/rooms/v1/>
    public static let v1 = RoomVersionRules()
    /// <https://spec.matrix.org/v1.19/rooms/v2/>
    public static let v2 = v1.changing { $0.stateResolution = .v2 }
    /// <https://spec.matrix.org/v1.19/rooms/v3/>
    public static let v3 = v2.changing {
        $0.eventIDFormat = .base64Hash
        $0.authorization.redactionsNeedPower = false
    }
    /// <https://spec.matrix.org/v1.19/rooms/v4/>
    public static let v4 = v3.changing { $0.eventIDFormat = .urlSafeBase64Hash }
    /// <https://spec.matrix.org/v1.19/rooms/v5/>
    public static let v5 = v4.changing { $0.enforceKeyValidity = true }
    /// <https://spec.matrix.org/v1.19/rooms/v6/>
    public static let v6 = v5.changing {
        $0.strictCanonicalJSON = true
        $0.maximumDepth = CanonicalJSON.maximumInteger
        $0.redaction = .v6
        $0.authorization.aliasesBelongToServer = false
        $0.authorization.notificationLevelsAreGuarded = true
        $0.authorization.powerLevelFormat = .integersOrStrings
    }
    /// <https://spec.matrix.org/v1.19/rooms/v7/>
    public static let v7 = v6.changing { $0.authorization.knocking = true }
    /// <https://spec.matrix.org/v1.19/rooms/v8/>
    public static let v8 = v7.changing {
        $0.redaction = .v8
        $0.authorization.restrictedJoins = true
    }
    /// <https://spec.matrix.org/v1.19/rooms/v9/>
    public static let v9 = v8.changing { $0.redaction = .v9 }
    /// <https://spec.matrix.org/v1.19/rooms/v10/>
    public static let v10 = v9.changing {
        $0.authorization.knockRestrictedJoins = true
        $0.authorization.powerLevelFormat = .integers
    }
    /// <https://spec.matrix.org/v1.19/rooms/v11/>
    public static let v11 = v10.changing {
        $0.redactsLocation = .content
        $0.redaction = .v11
        $0.authorization.creatorIsSender = true
    }
    /// <https://spec.matrix.org/v1.19/rooms/v12/>
    public static let v12 = v11.changing {
        $0.stateResolution = .v2_1
        $0.roomIDIsCreateEventHash = true
        $0.authorization.createIsAuthEvent = false
        $0.authorization.privilegedCreators = true
    }
}
