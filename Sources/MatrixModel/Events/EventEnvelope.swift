/// The fields all events have, read once.
final class EventEnvelope: Sendable {
    let version: RoomVersion
    let document: JSONDocument
    let id: EventID
    let roomID: RoomID
    let type: EventType
    let sender: UserID
    let stateKey: String?
    let content: JSONView
    let authEvents: [EventID]
    let prevEvents: [EventID]
    let depth: Int64
    let originServerTimestamp: Int64

    /// Where the event comes from, and with that what has been checked.
    enum Origin {
        /// Another server's bytes, in canonical form.
        case foreign(expectedID: EventID?)
        /// Our own storage.
        case trusted(id: EventID, roomID: RoomID)
    }

    init(_ document: JSONDocument, version: RoomVersion, origin: Origin) throws(MalformedEvent) {
        let rules = version.rules
        let reader = EventReader(root: document.root, rules: rules)
        self.version = version
        self.document = document
        type = try reader.identifier("type")
        sender = try reader.identifier("sender")
        stateKey = try reader.stateKey()
        content = try reader.object("content")
        depth = try reader.depth()
        originServerTimestamp = try reader.integer("origin_server_ts")
        authEvents = try reader.references("auth_events", atMost: EventLimits.authEvents)
        prevEvents = try reader.references("prev_events", atMost: EventLimits.prevEvents)
        switch origin {
        case .trusted(let id, let roomID):
            self.id = id
            self.roomID = roomID
        case .foreign(let expectedID):
            try reader.checkHashesAndSignatures()
            id = try reader.eventID(document)
            if let expectedID, expectedID != id {
                throw MalformedEvent(.badFormat, "the event is another than the one asked for")
            }
            if type == .create, stateKey == "", rules.roomIDIsCreateEventHash {
                guard document.root["room_id"] == nil else {
                    throw MalformedEvent(.badFormat, "the create event carries no room_id in this room version")
                }
                roomID = try EventReader.room(createdBy: id)
            } else {
                roomID = try reader.identifier("room_id")
            }
        }
    }
}

/// Reads an event's fields and says which of them is not as the format has it.
struct EventReader {
    let root: JSONView
    let rules: RoomVersionRules

    func identifier<I: MatrixIdentifier>(_ key: String) throws(MalformedEvent) -> I {
        let text = try string(key)
        do throws(InvalidIdentifier) {
            return try I(text)
        } catch {
            throw MalformedEvent(.badFormat, "\(key) is not what it should name")
        }
    }

    func string(_ key: String) throws(MalformedEvent) -> String {
        guard let text = root[key]?.string else { throw MalformedEvent(.badFormat, "\(key) is a string") }
        guard text.utf8.count <= EventLimits.fieldBytes else {
            throw MalformedEvent(.tooLarge, "\(key) has at most \(EventLimits.fieldBytes) bytes")
        }
        return text
    }

    func stateKey() throws(MalformedEvent) -> String? {
        root["state_key"] == nil ? nil : try string("state_key")
    }

    func object(_ key: String) throws(MalformedEvent) -> JSONView {
        guard let view = root[key], view.kind == .object else {
            throw MalformedEvent(.badFormat, "\(key) is an object")
        }
        return view
    }

    func integer(_ key: String) throws(MalformedEvent) -> Int64 {
        guard let value = root[key]?.integer else { throw MalformedEvent(.badFormat, "\(key) is an integer") }
        return value
    }

    func depth() throws(MalformedEvent) -> Int64 {
        let depth = try integer("depth")
        guard (0...rules.maximumDepth).contains(depth) else {
            throw MalformedEvent(.badFormat, "depth is from 0 to \(rules.maximumDepth)")
        }
        return depth
    }

    func references(_ key: String, atMost maximum: Int) throws(MalformedEvent) -> [EventID] {
        guard let list = root[key], list.kind == .array else { throw MalformedEvent(.badFormat, "\(key) is an array") }
        guard list.count <= maximum else { throw MalformedEvent(.badFormat, "\(key) has at most \(maximum) entries") }
        var ids: [EventID] = []
        ids.reserveCapacity(list.count)
        for entry in list.elements { ids.append(try reference(entry, in: key)) }
        return ids
    }

    /// An id; in versions 1 and 2 a pair of an id and its reference hash.
    private func reference(_ entry: JSONView, in key: String) throws(MalformedEvent) -> EventID {
        let name: JSONView?
        if rules.eventIDIsSent {
            let pair = entry.kind == .array ? entry.elements : []
            name = pair.count == 2 && pair.last?.kind == .object ? pair.first : nil
        } else {
            name = entry
        }
        guard let text = name?.string, let id = try? EventID(text) else {
            throw MalformedEvent(.badFormat, "\(key) names events as this room version does")
        }
        return id
    }

    func checkHashesAndSignatures() throws(MalformedEvent) {
        guard try object("hashes")["sha256"]?.string != nil else {
            throw MalformedEvent(.badFormat, "hashes has a sha256")
        }
        _ = try object("signatures")
    }

    /// The event's id: the one it carries in versions 1 and 2, from 3 the one that follows from it.
    func eventID(_ document: JSONDocument) throws(MalformedEvent) -> EventID {
        guard rules.eventIDIsSent else {
            guard let id = ReferenceHash.eventID(of: document.root, rules: rules) else {
                throw MalformedEvent(.badFormat, "the event has an id")
            }
            return id
        }
        let id: EventID = try identifier("event_id")
        guard id.serverName != nil else {
            throw MalformedEvent(.badFormat, "event_id names a server in this room version")
        }
        return id
    }

    static func room(createdBy id: EventID) throws(MalformedEvent) -> RoomID {
        guard let room = RoomID(createdBy: id) else {
            throw MalformedEvent(.badFormat, "the create event names a room")
        }
        return room
    }
}

extension RoomID {
    /// The room of a create event of room version 12: its id with `!` for `$`.
    /// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules>, 1.2
    public init?(createdBy event: EventID) {
        guard let room = try? RoomID("!" + event.text.dropFirst()) else { return nil }
        self = room
    }
}

extension EventID {
    /// The create event of a room of version 12: its id with `$` for `!`. `nil` if the id cannot be of that kind.
    public init?(createOf room: RoomID) {
        guard !room.text.utf8.contains(UInt8(ascii: ":")), let id = try? EventID("$" + room.text.dropFirst()) else {
            return nil
        }
        self = id
    }
}
