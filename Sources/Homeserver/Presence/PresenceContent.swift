internal import HomeserverStorage
internal import MatrixModel

/// What clients are told of a presence.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mpresence>
enum PresenceContent {
    /// Writes the content of an `m.presence` event.
    /// - Parameter now: milliseconds since 1970.
    static func write(_ presence: PresenceStore.Presence, now: Int64, into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("presence")
        writer.string(presence.state)
        let ago = max(0, now.subtractingReportingOverflow(presence.lastActive).partialValue)
        if presence.lastActive > 0 {
            writer.key("last_active_ago")
            writer.integer(ago)
        }
        if presence.state == "online" {
            writer.key("currently_active")
            writer.bool(presence.lastActive > 0 && ago < SyncLimits.currentlyActive)
        }
        if let message = presence.statusMessage {
            writer.key("status_msg")
            writer.string(message)
        }
        writer.endObject()
    }

    /// Writes a whole `m.presence` event.
    static func writeEvent(_ presence: PresenceStore.Presence, now: Int64, into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("type")
        writer.string("m.presence")
        writer.key("sender")
        writer.string(presence.user.text)
        writer.key("content")
        write(presence, now: now, into: &writer)
        writer.endObject()
    }
}
