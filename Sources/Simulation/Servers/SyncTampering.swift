internal import MatrixModel

/// Changes what syncs tell, on purpose.
struct SyncTampering: Sendable {
    let sabotage: SimulationPlan.Sabotage

    /// `nil` for a sabotage of something else.
    init?(_ sabotage: SimulationPlan.Sabotage?) {
        let own: [SimulationPlan.Sabotage] = [
            .untoldEvent, .repeatedEvent, .untoldState, .untoldJoining, .untoldLeaving,
        ]
        guard let sabotage, own.contains(sabotage) else { return nil }
        self.sabotage = sabotage
    }

    /// The answer as the client gets it.
    func changed(_ answer: [UInt8]) -> [UInt8] {
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
}
