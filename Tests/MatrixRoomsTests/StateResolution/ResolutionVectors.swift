import Foundation
import MatrixModel
import MatrixRooms
import Testing

/// A published case of state resolution: events under symbolic ids, and what their states resolve to.
struct ResolutionVector: Sendable, CustomTestStringConvertible {
    let name: String
    /// The states to resolve; empty where they follow from the events.
    let forks: [[EventID]]
    let events: [PDU]
    let expected: StateMap

    var testDescription: String { name }

    static let all: [ResolutionVector] = {
        let file = URL(filePath: #filePath)
            .appending(path: "../../../../spec/vectors/state-resolution/state-resolution.json").standardized
        guard let data = try? Data(contentsOf: file), let vectors = try? JSONValue.parse([UInt8](data)) else {
            return []
        }
        return (vectors["cases"]?.elements ?? []).compactMap { try? ResolutionVector($0) }
    }()

    private init(_ vector: JSONValue) throws {
        name = try vector.requiredString("name")
        let batches = vector["batches"]?.elements.flatMap { $0["pdus"]?.elements ?? [] } ?? []
        let pdus = batches + (vector["pdus"]?.elements ?? [])
        let version = pdus.first.flatMap { RoomCreate.roomVersion(of: $0["content"] ?? [:]) } ?? .v12
        var events: [PDU] = []
        for pdu in pdus {
            var event = pdu
            let id = try EventID(pdu.requiredString("event_id"))
            let room = try pdu["room_id"]?.string.map { try RoomID($0) } ?? RoomID(createdBy: id)
            event["depth"] = .integer(Int64(events.count + 1))
            guard let room else { continue }
            events.append(try PDU(trusted: event.serialized(), id: id, roomID: room, version: version))
        }
        self.events = events
        forks = try (vector["state_sets"]?.elements ?? []).map { set in
            try set.requiredStrings("events").map { try EventID($0) }
        }
        var expected: StateMap = [:]
        for entry in vector["resolved"]?.elements ?? [] {
            let key = StateKey(try EventType(entry.requiredString("type")), try entry.requiredString("state_key"))
            expected[key] = try EventID(entry.requiredString("event_id"))
        }
        self.expected = expected
    }
}
