import Cryptography
import HTTPMessages
import HTTPTypes
import MatrixModel
import Synchronization

/// A homeserver in memory, as far as a client's encryption and rooms need one. A token is `user|device`.
final class PretendServer: HTTPClient, Sendable {
    struct State {
        var deviceKeys: [String: [String: JSONValue]] = [:]
        var oneTimeKeys: [String: [(id: String, key: JSONValue)]] = [:]
        var fallbackKeys: [String: (id: String, key: JSONValue)] = [:]
        var inboxes: [String: [JSONValue]] = [:]
        var changed: [String: Set<String>] = [:]
        var transactions: [String: JSONValue] = [:]
        var events: [(room: String, event: JSONValue)] = []
        var members: [String: [String: String]] = [:]
        var invitations: [String: [JSONValue]] = [:]
        /// Rooms that a user has left since the last sync.
        var left: [String: [String]] = [:]
        /// Users whose server does not answer.
        var unreachable: Set<String> = []
        /// What was asked, as `METHOD path`.
        var log: [String] = []
        /// Requests to be answered 400.
        var refused: [String: Int] = [:]
        /// What `/keys/changes` answers, by its query; others are answered 400.
        var keyChanges: [String: JSONValue] = [:]
        /// Requests to fail before they are carried out, and after: as if the answer was lost.
        var failBefore: [String: Int] = [:]
        var failAfter: [String: Int] = [:]
        /// Answers to give instead, one after the other, by a part of the path.
        var instead: [String: [Result<(Int, JSONValue), HTTPClientError>]] = [:]
        /// By user: what `rooms` of the next syncs hold besides, one after the other.
        var forged: [String: [JSONValue]] = [:]
        /// Parts of paths of which requests wait until they are not here any more.
        var held: Set<String> = []
        /// How often one was seen waiting.
        var waiting = 0
        /// Whether rooms are made without the state that was asked for.
        var dropsInitialState = false
    }

    let state = Mutex(State())

    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        let path = String(request.pathAndQuery.prefix { $0 != "?" })
        let name = request.fields[.authorization].map { String($0.dropFirst("Bearer ".count)) } ?? "|"
        let parts = name.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        let body = (try? JSONValue.parse(request.body)) ?? [:]
        let isSync = path.hasSuffix("/sync")
        guard !Task.isCancelled else { throw .cancelled }
        while state.withLock({ state in state.held.contains { path.contains($0) } }) {
            state.withLock { $0.waiting += 1 }
            do { try await Task.sleep(for: .milliseconds(2)) } catch { throw .cancelled }
        }
        for _ in 0..<200 {
            let answer = try answer(request, path, user: parts[0], device: parts[1], body)
            guard isSync, Self.isEmpty(answer.1), request.pathAndQuery.contains("timeout=30000") else {
                return ClientResponse(status: answer.0, body: answer.1.serialized())
            }
            do { try await Task.sleep(for: .milliseconds(5)) } catch { throw .cancelled }
        }
        return ClientResponse(status: 200, body: Array(#"{"next_batch":"0"}"#.utf8))
    }

    private static func isEmpty(_ answer: JSONValue) -> Bool {
        (answer["rooms"]?.members ?? []).allSatisfy { $0.value.count == 0 }
            && answer["to_device", "events"]?.count == 0 && answer["device_lists", "changed"]?.count == 0
    }

    private func answer(
        _ request: ClientRequest, _ path: String, user: String, device: String, _ body: JSONValue
    ) throws(HTTPClientError) -> (Int, JSONValue) {
        let result: Result<(Int, JSONValue), HTTPClientError> = state.withLock { state in
            state.log.append("\(request.method) \(path)")
            func isDue(_ failures: inout [String: Int]) -> Bool {
                for (part, count) in failures where count > 0 && path.contains(part) {
                    failures[part] = count - 1
                    return true
                }
                return false
            }
            if isDue(&state.failBefore) { return .failure(.couldNotConnect("down")) }
            for (part, answers) in state.instead where path.contains(part) {
                guard let first = answers.first else { continue }
                state.instead[part] = Array(answers.dropFirst())
                return first
            }
            if isDue(&state.refused) { return .success((400, ["errcode": "M_UNKNOWN", "error": "no"])) }
            let answer = Self.carryOut(request.pathAndQuery, path, user: user, device: device, body, &state)
            return isDue(&state.failAfter) ? .failure(.timedOut) : .success(answer)
        }
        return try result.get()
    }

    /// Carries a call out at once, for machines without a client.
    func carryOut(_ pathAndQuery: String, user: String, device: String, _ body: [UInt8]) -> JSONValue {
        let path = String(pathAndQuery.prefix { $0 != "?" })
        let value = (try? JSONValue.parse(body)) ?? [:]
        return state.withLock { Self.carryOut(pathAndQuery, path, user: user, device: device, value, &$0).1 }
    }

    private static func carryOut(
        _ pathAndQuery: String, _ path: String, user: String, device: String, _ body: JSONValue, _ state: inout State
    ) -> (Int, JSONValue) {
        let segments = path.split(separator: "/").map { PercentEncoding.decode(String($0)) ?? "" }.dropFirst(3)
        let words = Array(segments)
        switch words.first {
        case "keys" where words[1] == "changes":
            let query = String(pathAndQuery.drop { $0 != "?" }.dropFirst())
            return state.keyChanges[query].map { (200, $0) } ?? (400, ["errcode": "M_UNKNOWN", "error": "no"])
        case "keys": return (200, keys(words, user: user, device: device, body, &state))
        case "sendToDevice":
            guard state.transactions[words[2]] == nil else { return (200, [:]) }
            state.transactions[words[2]] = [:]
            for (recipient, devices) in body["messages"]?.members ?? [] {
                for (name, content) in devices.members {
                    state.inboxes["\(recipient)|\(name)", default: []].append([
                        "type": .string(words[1]), "sender": .string(user), "content": content,
                    ])
                }
            }
            return (200, [:])
        case "sync": return (200, sync(pathAndQuery, user: user, device: device, &state))
        case "createRoom": return (200, create(user, body, &state))
        case "join", "rooms": return rooms(words, user: user, body, &state)
        default: return (404, ["errcode": "M_UNRECOGNIZED", "error": "no"])
        }
    }

    private static func keys(
        _ words: [String], user: String, device: String, _ body: JSONValue, _ state: inout State
    ) -> JSONValue {
        let me = "\(user)|\(device)"
        switch words[1] {
        case "upload":
            if let keys = body["device_keys"] {
                state.deviceKeys[user, default: [:]][device] = keys
                tell(of: user, &state)
            }
            for (id, key) in body["one_time_keys"]?.members ?? [] {
                state.oneTimeKeys[me, default: []].append((id, key))
            }
            for (id, key) in body["fallback_keys"]?.members ?? [] { state.fallbackKeys[me] = (id, key) }
            return ["one_time_key_counts": ["signed_curve25519": count(me, state)]]
        case "query":
            var found: JSONValue = [:]
            for (user, _) in body["device_keys"]?.members ?? [] where !state.unreachable.contains(user) {
                found[user] = .object(state.deviceKeys[user] ?? [:])
            }
            return ["device_keys": found, "failures": state.unreachable.isEmpty ? [:] : ["a": [:]]]
        default:
            var found: JSONValue = [:]
            for (user, devices) in body["one_time_keys"]?.members ?? [] {
                var given: JSONValue = [:]
                for (device, _) in devices.members {
                    let name = "\(user)|\(device)"
                    if let key = state.oneTimeKeys[name]?.first {
                        state.oneTimeKeys[name]?.removeFirst()
                        given[device] = [key.id: key.key]
                    } else if let key = state.fallbackKeys[name] {
                        given[device] = [key.id: key.key]
                    }
                }
                found[user] = given
            }
            return ["one_time_keys": found]
        }
    }

    private static func count(_ name: String, _ state: State) -> JSONValue {
        .integer(Int64(state.oneTimeKeys[name]?.count ?? 0))
    }

    static func tell(of user: String, _ state: inout State) {
        for (other, devices) in state.deviceKeys {
            for device in devices.keys { state.changed["\(other)|\(device)", default: []].insert(user) }
        }
    }

    private static func sync(
        _ pathAndQuery: String, user: String, device: String, _ state: inout State
    ) -> JSONValue {
        let me = "\(user)|\(device)"
        let since =
            pathAndQuery.split(separator: "&").first { $0.contains("since=") }
            .flatMap { Int($0.split(separator: "=").last ?? "") } ?? 0
        var joined: JSONValue = [:]
        for (room, members) in state.members where members[user] == "join" {
            let new = state.events.dropFirst(since).filter { $0.room == room }.map(\.event)
            guard !new.isEmpty else { continue }
            let isNew = new.contains { $0["type"] == "m.room.member" && $0["state_key"]?.string == user }
            let past = state.events.filter { $0.room == room && $0.event["state_key"] != nil }.map(\.event)
            joined[room] = ["timeline": ["events": .array(new)], "state": ["events": .array(isNew ? past : [])]]
        }
        var invited: JSONValue = [:]
        for room in state.invitations[user] ?? [] { invited[room.string ?? ""] = ["invite_state": ["events": []]] }
        state.invitations[user] = []
        var left: JSONValue = [:]
        for room in state.left.removeValue(forKey: user) ?? [] { left[room] = ["timeline": ["events": []]] }
        var rooms: JSONValue = ["join": joined, "invite": invited, "leave": left]
        if let first = state.forged[user]?.first {
            state.forged[user]?.removeFirst()
            for (section, made) in first.members {
                var merged = rooms[section] ?? [:]
                for (room, value) in made.members { merged[room] = value }
                rooms[section] = merged
            }
        }
        let inbox = state.inboxes.removeValue(forKey: me) ?? []
        let changed = state.changed.removeValue(forKey: me) ?? []
        return [
            "next_batch": .string("\(state.events.count)"),
            "to_device": ["events": .array(inbox)],
            "device_lists": ["changed": .array(changed.sorted().map { .string($0) })],
            "device_one_time_keys_count": ["signed_curve25519": count(me, state)],
            "device_unused_fallback_key_types": ["signed_curve25519"],
            "rooms": rooms,
        ]
    }

    private static func create(_ user: String, _ body: JSONValue, _ state: inout State) -> JSONValue {
        let room = "!room\(state.members.count):a"
        add(room, "m.room.create", user, [:], stateKey: "", &state)
        state.members[room] = [user: "join"]
        add(room, "m.room.member", user, ["membership": "join"], stateKey: user, &state)
        for event in body["initial_state"]?.elements ?? [] where !state.dropsInitialState {
            add(room, event["type"]?.string ?? "", user, event["content"] ?? [:], stateKey: "", &state)
        }
        if let name = body["name"] { add(room, "m.room.name", user, ["name": name], stateKey: "", &state) }
        return ["room_id": .string(room)]
    }

    private static func rooms(
        _ words: [String], user: String, _ body: JSONValue, _ state: inout State
    ) -> (Int, JSONValue) {
        let room = words[1]
        if words[0] == "join" {
            state.members[room, default: [:]][user] = "join"
            add(room, "m.room.member", user, ["membership": "join"], stateKey: user, &state)
            return (200, ["room_id": .string(room)])
        }
        switch words[2] {
        case "invite":
            let guest = body["user_id"]?.string ?? ""
            state.members[room]?[guest] = "invite"
            state.invitations[guest, default: []].append(.string(room))
            add(room, "m.room.member", user, ["membership": "invite"], stateKey: guest, &state)
            return (200, [:])
        case "leave":
            state.members[room]?[user] = "leave"
            state.left[user, default: []].append(room)
            add(room, "m.room.member", user, ["membership": "leave"], stateKey: user, &state)
            return (200, [:])
        case "forget":
            return state.members[room]?[user] == "join"
                ? (400, ["errcode": "M_UNKNOWN", "error": "in the room"]) : (200, [:])
        case "send":
            if let known = state.transactions["\(user) \(words[4])"] { return (200, known) }
            let id = add(room, words[3], user, body, stateKey: nil, &state)
            state.transactions["\(user) \(words[4])"] = ["event_id": .string(id)]
            return (200, ["event_id": .string(id)])
        case "messages":
            return (200, ["chunk": .array(state.events.filter { $0.room == room }.map(\.event))])
        default:
            return (404, ["errcode": "M_UNRECOGNIZED", "error": "no"])
        }
    }

    @discardableResult
    private static func add(
        _ room: String, _ type: String, _ sender: String, _ content: JSONValue, stateKey: String?, _ state: inout State
    ) -> String {
        let id = "$event\(state.events.count)"
        var event: JSONValue = [
            "type": .string(type), "sender": .string(sender), "content": content, "event_id": .string(id),
            "origin_server_ts": .integer(Int64(state.events.count)), "unsigned": ["age": 5],
        ]
        event["state_key"] = stateKey.map { .string($0) }
        state.events.append((room, event))
        return id
    }
}
