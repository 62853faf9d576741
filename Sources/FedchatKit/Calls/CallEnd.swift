internal import MatrixModel

/// How a call ended.
public struct CallEnd: Sendable, Hashable {
    /// Who ended it.
    public enum Side: String, Sendable, Hashable {
        /// This client or its user.
        case local
        /// The other party.
        case remote
        /// Another device of our user.
        case elsewhere
    }

    /// Why. Those that are reasons of `m.call.hangup` have their names.
    public enum Reason: String, Sendable, Hashable {
        case iceFailed = "ice_failed"
        case iceTimeout = "ice_timeout"
        case inviteTimeout = "invite_timeout"
        case userHangup = "user_hangup"
        case userMediaFailed = "user_media_failed"
        case userBusy = "user_busy"
        case unknownError = "unknown_error"
        /// It was not wanted.
        case rejected
        /// Another device of ours took it.
        case answeredElsewhere = "answered_elsewhere"
        /// Another device of ours rejected it.
        case rejectedElsewhere = "rejected_elsewhere"
        /// The caller gave up before it was answered.
        case cancelled
        /// Both called each other: the other call goes on.
        case replaced
        /// Somebody left the room.
        case left
        /// Our invite or answer did not go out.
        case sendFailed = "send_failed"
        /// Our user did not want to hear of it.
        case ignored
    }

    public let by: Side
    public let reason: Reason

    init(_ by: Side, _ reason: Reason) {
        self.by = by
        self.reason = reason
    }

    init(_ reason: CallHangupReason, by side: Side) {
        self.init(side, Reason(rawValue: reason.rawValue) ?? .unknownError)
    }
}
