public import ClientEncryption
public import MatrixModel

/// What the user is told about calls. Holds no SDP and no candidate.
public enum CallReport: Sendable, Hashable {
    /// The invite has gone out.
    case calling(CallKey, invitee: UserID?)
    /// Somebody calls. `hasChanged`: the homeserver shows other keys for the device than at first, or another identity.
    case ringing(
        CallKey, caller: UserID, device: DeviceID?, standing: SenderStanding, hasChanged: Bool, left: Duration)
    /// It is taken, by our user or since both call each other; the answer is being made.
    case answering(CallKey, caller: UserID, device: DeviceID?, standing: SenderStanding, hasChanged: Bool)
    /// The other side has answered.
    case answered(CallKey, by: UserID, device: DeviceID?, standing: SenderStanding, hasChanged: Bool)
    /// Media flows, for the first time or again.
    case connected(CallKey)
    /// Media stopped; it may come back.
    case reconnecting(CallKey)
    /// The other side put us on hold, or took us back.
    case held(CallKey, Bool)
    /// We put the other side on hold, or took it back.
    case holding(CallKey, Bool)
    /// What the other side says to have muted, all its streams together.
    case muted(CallKey, audio: Bool, video: Bool)
    /// Something was ignored or went wrong. `detail` holds nothing secret, and nothing of what others wrote but ids.
    case notice(CallNotice, RoomID, CallID?, user: UserID?, detail: String)
    /// It is over. `connected`: for how long media flowed.
    case ended(CallKey, CallEnd, connected: Duration?)

    /// One JSON object, as `call --json` prints it.
    public var json: JSONValue {
        switch self {
        case .calling(let key, let invitee):
            Self.object("calling", key, ["invitee": invitee.map { .string($0.text) }])
        case .ringing(let key, let caller, let device, let standing, let hasChanged, let left):
            Self.object("ringing", key, caller, device, standing, hasChanged, left)
        case .answering(let key, let caller, let device, let standing, let hasChanged):
            Self.object("answering", key, caller, device, standing, hasChanged)
        case .answered(let key, let user, let device, let standing, let hasChanged):
            Self.object("answered", key, user, device, standing, hasChanged)
        case .connected(let key): Self.object("connected", key)
        case .reconnecting(let key): Self.object("reconnecting", key)
        case .held(let key, let isHeld): Self.object("held", key, ["on": .bool(isHeld)])
        case .holding(let key, let isHolding): Self.object("holding", key, ["on": .bool(isHolding)])
        case .muted(let key, let audio, let video):
            Self.object("muted", key, ["audio": .bool(audio), "video": .bool(video)])
        case .notice(let notice, let room, let call, let user, let detail):
            .fields([
                "event": "notice", "room_id": .string(room.text), "call_id": call.map { .string($0.text) },
                "user_id": user.map { .string($0.text) }, "notice": .string(notice.rawValue),
                "detail": .string(detail),
            ])
        case .ended(let key, let end, let connected):
            Self.object(
                "ended", key,
                [
                    "by": .string(end.by.rawValue), "reason": .string(end.reason.rawValue),
                    "connected_ms": connected.map { .integer($0.wholeMilliseconds) },
                ])
        }
    }

    /// With who it is, as far as is known.
    private static func object(
        _ event: String, _ key: CallKey, _ user: UserID, _ device: DeviceID?, _ standing: SenderStanding,
        _ hasChanged: Bool, _ left: Duration? = nil
    ) -> JSONValue {
        object(
            event, key,
            [
                "user_id": .string(user.text), "device_id": device.map { .string($0.text) },
                "sender_standing": .string(standing.rawValue), "changed": hasChanged ? true : nil,
                "expires_in_ms": left.map { .integer($0.wholeMilliseconds) },
            ])
    }

    private static func object(
        _ event: String, _ key: CallKey, _ more: KeyValuePairs<String, JSONValue?> = [:]
    ) -> JSONValue {
        var object = JSONValue.fields(more)
        object["event"] = .string(event)
        object["room_id"] = .string(key.room.text)
        object["call_id"] = .string(key.call.text)
        return object
    }
}

extension Duration {
    /// Rounded down.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
