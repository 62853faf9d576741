import MatrixModel

/// Rules that only old room versions have.
extension EventAuthorization {
    /// Versions 1 to 5, rule 4.
    /// Spec: <https://spec.matrix.org/v1.19/rooms/v1/#authorisation-rules>
    func authorizeAliases() throws(Rejection) {
        // 4.1. If event has no state_key, reject.
        guard let stateKey = event.stateKey else { throw Rejection("v1 4.1", "aliases are state") }
        // 4.2. If sender's domain doesn't match state_key, reject.
        guard stateKey.isSameText(as: event.sender.serverName.text) else {
            throw Rejection("v1 4.2", "aliases of another server")
        }
        // 4.3. Otherwise, allow.
    }

    /// Versions 1 and 2, rule 11.
    /// Spec: <https://spec.matrix.org/v1.19/rooms/v1/#authorisation-rules>
    func authorizeRedaction() throws(Rejection) {
        // 11.1. If the sender's power level is greater than or equal to the redact level, allow.
        if try senderLevel("v1 11.1") >= level(for: .redact, "v1 11.1") { return }
        // 11.2. If the domain of the event_id of the event being redacted is the same as that of the redaction, allow.
        if let target = event.redacts?.serverName, target == event.id.serverName { return }
        // 11.3. Otherwise, reject.
        throw Rejection("v1 11.3", "sender may not redact this event")
    }
}
