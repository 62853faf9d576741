import Foundation
import MatrixModel
import MatrixRooms
import Testing

/// Reads the vectors that `script/room-vectors` writes: rooms under symbolic ids, as each room version has them.
struct RoomVectors {
    static let authorization = load("authorization/authorization.json")
    static let authEvents = load("authorization/auth-events.json")
    static let scenarios = load("state-resolution/scenarios.json")
    /// Rooms made by chance, which Synapse resolved: `Tests/PeerTests/synapse_resolution.py`.
    static let resolvedBySynapse = load("state-resolution/synapse.json")

    /// The cases; where there are none, something that no test can use.
    private static func load(_ path: String) -> [JSONValue] {
        let file = URL(filePath: #filePath).appending(path: "../../../spec/vectors/\(path)").standardized
        guard let data = try? Data(contentsOf: file), let vectors = try? JSONValue.parse([UInt8](data)),
            let cases = vectors["cases"]?.array, !cases.isEmpty
        else { return [.null] }
        return cases
    }

    let version: RoomVersion
    private var rules: RoomVersionRules { version.rules }

    /// What a table by ranges of versions says of this one; `nil` where it says nothing.
    func entry(of table: JSONValue?) -> JSONValue? {
        guard let number = Int(version.text) else { return nil }
        return table?.members.first { range, _ in
            let bounds = range.split(separator: "-").compactMap { Int($0) }
            return bounds.count == 2 && bounds[0] <= number && number <= bounds[1]
        }?.value
    }

    /// An event of a vector.
    func event(_ vector: JSONValue, id: String) throws -> PDU {
        var event = vector
        let isCreate = event["type"] == "m.room.create"
        if isCreate { event["content"] = createContent(of: event) }
        if rules.authorization.privilegedCreators {
            event["content"]?["users"]?["$creator"] = nil
        } else if let level = event["content"]?["users"]?["$creator"] {
            event["content"]?["users"]?["$creator"] = nil
            event["content"]?["users"]?["@alice:one.test"] = level
        }
        let named = rules.roomIDIsCreateEventHash ? "!" + (isCreate ? id.dropFirst() : "create") : "!room:one.test"
        let room = try RoomID(vector["room_id"]?.string ?? named)
        if !(rules.roomIDIsCreateEventHash && isCreate) { event["room_id"] = .string(room.text) }
        if event["depth"] == nil { event["depth"] = 1 }
        if event["origin_server_ts"] == nil { event["origin_server_ts"] = 1 }
        let auth = (event["auth_events"]?.elements ?? []).filter {
            rules.authorization.createIsAuthEvent || $0 != "$create"
        }
        event["auth_events"] = references(.array(auth))
        event["prev_events"] = references(event["prev_events"] ?? (isCreate ? [] : ["$last"]))
        event["event_id"] = rules.eventIDIsSent ? .string(id) : nil
        return try PDU(trusted: event.serialized(), id: EventID(id), roomID: room, version: version)
    }

    private func createContent(of event: JSONValue) -> JSONValue {
        var content = event["content"] ?? [:]
        if content["room_version"] == nil { content["room_version"] = .string(version.text) }
        if content["creator"] == "$none" {
            content["creator"] = nil
        } else if content["creator"] == nil, !rules.authorization.creatorIsSender {
            content["creator"] = event["sender"]
        }
        return content
    }

    private func references(_ ids: JSONValue) -> JSONValue {
        rules.eventIDIsSent ? .array(ids.elements.map { [$0, [:]] }) : ids
    }
}

@Suite("The rules of the room versions, our vectors") struct RoomVectorTests {
    @Test(arguments: RoomVectors.authorization) func `an event is judged as written down`(vector: JSONValue) throws {
        for version in RoomVersion.all {
            let vectors = RoomVectors(version: version)
            guard let expected = vectors.entry(of: vector["verdicts"]) else { continue }
            let given = try #require(vector["event"])
            let event = try vectors.event(given, id: given["event_id"]?.string ?? name(of: given, "$event"))
            let state = try (vector["state"]?.elements ?? []).enumerated().map { index, part in
                try vectors.event(part, id: name(of: part, "$\(index)"))
            }
            let create = try #require(event.type == .create ? event : state.first { $0.type == .create })
            var clause: String?
            do throws(Rejection) {
                try authorize(event, given: RoomState(state), by: version.rules, create: create)
            } catch {
                clause = error.clause
            }
            #expect(clause == expected.string, "version \(version): \(vector["says"]?.string ?? "")")
        }
    }

    private func name(of event: JSONValue, _ other: String) -> String {
        event["type"] == "m.room.create" ? "$create" : other
    }

    @Test(arguments: RoomVectors.authEvents) func `auth events are judged as written down`(vector: JSONValue) throws {
        for version in RoomVersion.all {
            let vectors = RoomVectors(version: version)
            guard let expected = vectors.entry(of: vector["verdicts"]) else { continue }
            var events: [PDU] = []
            var rejected: Set<EventID> = []
            for (name, part) in vector["events"]?.members ?? [] {
                let event = try vectors.event(part, id: name == "create" ? "$create" : "$" + name)
                events.append(event)
                if part["rejected"] == true { rejected.insert(event.id) }
            }
            let event = try named(vector, vectors)
            var clause: String?
            do throws(Rejection) {
                try checkAuthEvents(event, authEvents: events, by: version.rules) { rejected.contains($0) }
            } catch {
                clause = error.clause
            }
            #expect(clause == expected.string, "version \(version): \(vector["says"]?.string ?? "")")
        }
    }

    /// The event with the auth events of the vector, the create event too where it must not be.
    private func named(_ vector: JSONValue, _ vectors: RoomVectors) throws -> PDU {
        var given = try #require(vector["event"])
        let ids = (vector["auth_events"]?.elements ?? []).compactMap(\.string).map { JSONValue.string("$" + $0) }
        given["auth_events"] = .array(ids)
        let event = try vectors.event(given, id: given["type"] == "m.room.create" ? "$create" : "$event")
        var value = JSONValue(event.document.root)
        value["auth_events"] = vectors.version.rules.eventIDIsSent ? .array(ids.map { [$0, [:]] }) : .array(ids)
        return try PDU(trusted: value.serialized(), id: event.id, roomID: event.roomID, version: event.version)
    }

    @Test(arguments: RoomVectors.scenarios) func `forks resolve as written down`(vector: JSONValue) throws {
        for version in RoomVersion.all {
            let vectors = RoomVectors(version: version)
            guard let expected = vectors.entry(of: vector["resolved"]) else { continue }
            var graph: [EventID: PDU] = [:]
            for part in vector["events"]?.elements ?? [] {
                let event = try vectors.event(part, id: part.requiredString("event_id"))
                graph[event.id] = event
            }
            func state(_ ids: JSONValue) throws -> StateMap {
                RoomState(try ids.elements.map { try #require(graph[EventID($0.string ?? "")]) }).map
            }
            let forks = try (vector["forks"]?.elements ?? []).map(state)
            let resolved = try resolveWithChains(forks, in: graph, by: version.rules)
            #expect(try resolved == state(expected), "version \(version): \(vector["says"]?.string ?? "")")
            #expect(try resolveWithChains(forks.reversed(), in: graph, by: version.rules) == resolved)
        }
    }

    @Test(arguments: RoomVectors.resolvedBySynapse) func `forks resolve as Synapse has it`(vector: JSONValue) throws {
        let version = try #require(RoomVersion(vector["version"]?.string ?? ""))
        let vectors = RoomVectors(version: version)
        var graph: [EventID: PDU] = [:]
        for part in vector["events"]?.elements ?? [] {
            var part = part
            if !(part["type"] == "m.room.create" && version.rules.roomIDIsCreateEventHash) {
                part["room_id"] = vector["room_id"]
            }
            let event = try vectors.event(part, id: part.requiredString("event_id"))
            graph[event.id] = event
        }
        func state(_ ids: JSONValue?) throws -> StateMap {
            RoomState(try #require(ids).elements.map { try #require(graph[EventID($0.string ?? "")]) }).map
        }
        let forks = try (vector["forks"]?.elements ?? []).map(state)
        let resolved = try resolveWithChains(forks, in: graph, by: version.rules)
        let expected = try state(vector["resolved"])
        for key in Set(resolved.keys).union(expected.keys) {
            #expect(resolved[key] == expected[key], "version \(version), \(key)")
        }
    }
}
