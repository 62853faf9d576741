/// Why a party left a call.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mcallhangup>
public enum CallHangupReason: String, Sendable, Hashable, CaseIterable {
    /// No connection came about.
    case iceFailed = "ice_failed"
    /// The connection was lost.
    case iceTimeout = "ice_timeout"
    /// Nobody answered in time.
    case inviteTimeout = "invite_timeout"
    /// The user wanted it.
    case userHangup = "user_hangup"
    /// Microphone or camera could not be used.
    case userMediaFailed = "user_media_failed"
    /// The user is in another call: mostly of bridges to telephones.
    case userBusy = "user_busy"
    /// Something else.
    case unknownError = "unknown_error"

    /// Of a content: `user_hangup` where it is missing, as in version 0, `unknown_error` for one that nobody knows.
    init(_ content: some JSONReading) {
        guard let reason = content["reason"] else {
            self = .userHangup
            return
        }
        self = reason.string.flatMap(CallHangupReason.init) ?? .unknownError
    }
}
