/// An event in the format of clients.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-event-format>
public enum ClientEvent {
    /// Writes the event as one JSON object.
    /// - Parameters:
    ///   - unsigned: what this server says about the event: `age`, `transaction_id`, `prev_content`, …
    ///   - withRoomID: `false` inside `/sync`, where the room is known.
    public static func write(
        _ event: PDU, into writer: inout JSONWriter, unsigned: [(String, JSONValue)] = [], withRoomID: Bool
    ) {
        writer.beginObject()
        writer.key("content")
        writeContent(of: event, into: &writer)
        writer.key("event_id")
        writer.string(event.id.text)
        writer.key("origin_server_ts")
        writer.integer(event.originServerTimestamp)
        if let sticky = event.document.root[StickyEvent.field] {
            writer.key(StickyEvent.field)
            writer.raw(sticky.rawBytes)
        }
        // Old clients look for `redacts` beside the content, new ones in it: both find it.
        if event.type == .redaction, let redacts = event.redacts {
            writer.key("redacts")
            writer.string(redacts.text)
        }
        if withRoomID {
            writer.key("room_id")
            writer.string(event.roomID.text)
        }
        writer.key("sender")
        writer.string(event.sender.text)
        if let stateKey = event.stateKey {
            writer.key("state_key")
            writer.string(stateKey)
        }
        writer.key("type")
        writer.string(event.type.text)
        if !unsigned.isEmpty {
            writer.key("unsigned")
            writer.beginObject()
            for (key, value) in unsigned {
                writer.key(key)
                writer.value(value)
            }
            writer.endObject()
        }
        writer.endObject()
    }

    /// The event as a JSON value, for where it is part of something else.
    public static func value(
        of event: PDU, unsigned: [(String, JSONValue)] = [], withRoomID: Bool
    ) -> JSONValue {
        var writer = JSONWriter()
        write(event, into: &writer, unsigned: unsigned, withRoomID: withRoomID)
        return (try? JSONValue.parse(writer.bytes)) ?? .object([:])
    }

    /// "Servers should add a `redacts` property to the `content` of `m.room.redaction` events in older room versions."
    /// Spec: <https://spec.matrix.org/v1.19/rooms/v11/#moving-the-redacts-property-of-mroomredaction-events-to-a-content-property>
    private static func writeContent(of event: PDU, into writer: inout JSONWriter) {
        guard event.type == .redaction, event.version.rules.redactsLocation == .topLevel, let redacts = event.redacts
        else { return writer.raw(event.content.rawBytes) }
        writer.beginObject()
        for (key, value) in event.content.members where key != "redacts" {
            writer.key(key)
            writer.raw(value.rawBytes)
        }
        writer.key("redacts")
        writer.string(redacts.text)
        writer.endObject()
    }
}
