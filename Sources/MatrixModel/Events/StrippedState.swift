/// The little of a state event that somebody sees who is not in the room yet.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#stripped-state>
public enum StrippedState {
    /// The types whose events describe a room to somebody invited, with an empty state key; the invite goes beside them.
    public static let types: [EventType] = [
        .create, .name, .avatar, .topic, .joinRules, .canonicalAlias, .encryption,
    ]

    /// Writes `content`, `sender`, `state_key` and `type`. An event that is no state is written with an empty key.
    public static func write(_ event: PDU, into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("content")
        writer.raw(event.content.rawBytes)
        writer.key("sender")
        writer.string(event.sender.text)
        writer.key("state_key")
        writer.string(event.stateKey ?? "")
        writer.key("type")
        writer.string(event.type.text)
        writer.endObject()
    }
}
