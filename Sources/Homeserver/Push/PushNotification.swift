internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// What a push gateway is told. Spec: <https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify>
struct PushNotification: Sendable {
    /// The body of the request.
    let body: [UInt8]

    /// A notification of an event.
    /// - Parameter unread: the count that goes with it; 0 is left out, as the spec says.
    init(_ pushable: PushableEvent, _ names: RoomNames.Names, unread: Int, for pusher: Pusher) {
        let event = pushable.event
        let options = Self.options(pusher)
        let isShort = options["format"]?.string == "event_id_only"
        let tweaks = pushable.outcome.tweaks
        var notification: [String: JSONValue] = [
            "event_id": .string(event.id.text), "room_id": .string(event.roomID.text),
            "prio": Self.isUrgent(event, tweaks) ? "high" : "low",
            "devices": [Self.device(pusher, options, tweaks: isShort ? [:] : tweaks)],
            "counts": unread > 0 ? ["unread": .integer(Int64(unread))] : [:],
        ]
        if !isShort {
            notification["type"] = .string(event.type.text)
            notification["sender"] = .string(event.sender.text)
            notification["content"] = event.content.value
            notification["room_name"] = names.room.map { .string($0) }
            notification["room_alias"] = names.alias.map { .string($0) }
            notification["sender_display_name"] = names.sender.map { .string($0) }
            if event.type == .member { notification["user_is_target"] = .bool(event.stateKey == pusher.user.text) }
        }
        body = JSONValue.object(["notification": .object(notification)]).serialized()
    }

    /// A new unread count without an event. 0 is said, for it is what makes a badge go away.
    init(unread: Int, for pusher: Pusher) {
        body =
            JSONValue.object([
                "notification": [
                    "counts": ["unread": .integer(Int64(unread))], "prio": "low",
                    "devices": [Self.device(pusher, Self.options(pusher), tweaks: [:])],
                ]
            ]).serialized()
    }

    /// What makes a sound or is meant for the user must come at once, and so what may be so: nobody knows of an encrypted event.
    private static func isUrgent(_ event: PDU, _ tweaks: [String: JSONValue]) -> Bool {
        if event.type == .encrypted || tweaks["highlight"] == true { return true }
        return tweaks["sound"]?.string.map { !$0.isEmpty } ?? false
    }

    private static func device(
        _ pusher: Pusher, _ options: [String: JSONValue], tweaks: [String: JSONValue]
    ) -> JSONValue {
        var device: [String: JSONValue] = [
            "app_id": .string(pusher.appID), "pushkey": .string(pusher.pushkey),
            "pushkey_ts": .integer(pusher.setAt / 1000), "data": .object(options),
        ]
        if !tweaks.isEmpty { device["tweaks"] = .object(tweaks) }
        return .object(device)
    }

    /// `data` without `url`: all else that the client gave is the gateway's.
    private static func options(_ pusher: Pusher) -> [String: JSONValue] {
        var options = (try? JSONValue.parse(pusher.options))?.object ?? [:]
        options["url"] = nil
        return options
    }

    /// The gateway of a pusher; nil where the pusher names none.
    static func gateway(of pusher: Pusher) -> WebAddress? {
        (try? JSONValue.parse(pusher.options))?["url"]?.string.flatMap { WebAddress($0) }
    }
}
