internal import MatrixModel

/// Changes what syncs and pages tell, on purpose.
struct SyncTampering: Sendable {
    let sabotage: SimulationPlan.Sabotage

    /// `nil` for a sabotage of something else than the answers of a path.
    init?(_ sabotage: SimulationPlan.Sabotage?, path: String) {
        let ofSyncs: [SimulationPlan.Sabotage] = [
            .untoldEvent, .repeatedEvent, .untoldState, .untoldJoining, .untoldLeaving, .untrueSync,
        ]
        guard let sabotage,
            path == "/_matrix/client/v3/sync"
                ? ofSyncs.contains(sabotage) : sabotage == .untruePage && path.hasSuffix("/messages")
        else { return nil }
        self.sabotage = sabotage
    }

    /// The answer as the client gets it.
    func changed(_ answer: [UInt8]) -> [UInt8] {
        if sabotage == .untruePage {
            guard var page = try? JSONValue.parse(answer), let chunk = page["chunk"]?.elements else { return answer }
            page["chunk"] = .array(Self.untrue(chunk))
            return page.serialized()
        }
        guard var value = try? JSONValue.parse(answer), var rooms = value["rooms"], var joined = rooms["join"] else {
            return answer
        }
        switch sabotage {
        case .untoldJoining: joined = [:]
        case .untoldLeaving: rooms["leave"] = [:]
        default: for (name, room) in joined.members { joined[name] = changed(room) }
        }
        rooms["join"] = joined
        value["rooms"] = rooms
        return value.serialized()
    }

    private func changed(_ room: JSONValue) -> JSONValue {
        var room = room
        var timeline = room["timeline"] ?? [:]
        var events = timeline["events"]?.elements ?? []
        switch sabotage {
        case .untoldEvent:
            if let index = events.lastIndex(where: { $0["state_key"] == nil }) { events.remove(at: index) }
        case .untrueSync: events = Self.untrue(events)
        case .repeatedEvent: if let first = events.first { events.append(first) }
        default:
            for key in ["state", "state_after", "org.matrix.msc4222.state_after"] where room[key] != nil {
                room[key] = ["events": []]
            }
        }
        timeline["events"] = .array(events)
        room["timeline"] = timeline
        return room
    }

    /// Events with another content of the first message.
    private static func untrue(_ events: [JSONValue]) -> [JSONValue] {
        var events = events
        if let index = events.firstIndex(where: { $0["content"]?["body"] != nil }) {
            var content = events[index]["content"] ?? [:]
            content["body"] = "something else"
            events[index]["content"] = content
        }
        return events
    }
}
