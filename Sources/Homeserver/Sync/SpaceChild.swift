internal import MatrixModel

/// `m.space.child`: a room that belongs to a space.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mspacechild>
struct SpaceChild: Sendable {
    /// Servers of one child that are kept.
    private static let maximumServers = 10

    var room: RoomID
    /// Whom to ask about the room.
    var via: [ServerName]
    var isSuggested: Bool
    private var order: String?
    private var timestamp: Int64
    /// The event, stripped, with its time.
    var json: JSONValue

    /// The child of an event; nil for one that was removed: without servers it is none.
    init?(_ event: PDU) {
        self.init(
            stateKey: event.stateKey, sender: event.sender.text, content: event.content,
            timestamp: event.originServerTimestamp)
    }

    /// A child as another server tells it.
    init?(_ told: JSONView) {
        guard told["type"]?.string == EventType.spaceChild.text, let sender = told["sender"]?.string,
            let content = told["content"], let timestamp = told["origin_server_ts"]?.integer
        else { return nil }
        self.init(stateKey: told["state_key"]?.string, sender: sender, content: content, timestamp: timestamp)
    }

    private init?(stateKey: String?, sender: String, content: JSONView, timestamp: Int64) {
        guard let stateKey, let room = try? RoomID(stateKey) else { return nil }
        via = (content["via"]?.elements ?? []).prefix(Self.maximumServers)
            .compactMap { $0.string.flatMap { try? ServerName($0) } }
        guard !via.isEmpty else { return nil }
        self.room = room
        self.timestamp = timestamp
        isSuggested = content["suggested"]?.bool ?? false
        // An order of other characters, or too long, is none.
        order = content["order"]?.string.flatMap { text in
            text.utf8.count <= 50 && text.utf8.allSatisfy { (0x20...0x7E).contains($0) } ? text : nil
        }
        json = [
            "type": .string(EventType.spaceChild.text), "state_key": .string(stateKey), "sender": .string(sender),
            "content": JSONValue(content), "origin_server_ts": .integer(timestamp),
        ]
    }

    /// The order in which children are shown: by `order`, those without after those with one, then by time, then by id.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space>
    static func precedes(_ left: SpaceChild, _ right: SpaceChild) -> Bool {
        if left.order != right.order {
            guard let first = left.order else { return false }
            guard let second = right.order else { return true }
            return first.utf8.lexicographicallyPrecedes(second.utf8)
        }
        return (left.timestamp, left.room) < (right.timestamp, right.room)
    }
}

/// A room of a space, with its own children where it is a space.
struct SpaceRoom: Sendable {
    var description: RoomDescription
    var children: [SpaceChild]

    /// The room's entry in an answer.
    func json(suggestedOnly: Bool) -> JSONValue {
        var json = description.summary
        json["children_state"] = .array(
            children.filter { $0.isSuggested || !suggestedOnly }.map(\.json))
        return json
    }
}
