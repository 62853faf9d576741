import HTTPMessages
import MatrixAPI
import MatrixModel
import Synchronization

/// A homeserver's keys, to-device messages and account data in memory, for machines without a network.
final class KeyServer: Sendable {
    struct State {
        var deviceKeys: [String: [String: JSONValue]] = [:]
        var crossSigning: [String: [String: JSONValue]] = [:]
        var oneTimeKeys: [String: [(id: String, key: JSONValue)]] = [:]
        var inboxes: [String: [JSONValue]] = [:]
        var changed: [String: Set<String>] = [:]
        var accountData: [String: JSONValue] = [:]
    }

    let state = Mutex(State())

    func carryOut(_ call: APICall, user: String, device: String) -> JSONValue {
        let words = call.pathAndQuery.prefix { $0 != "?" }.split(separator: "/").dropFirst(3)
            .map { PercentEncoding.decode(String($0)) ?? "" }
        let body = (try? JSONValue.parse(call.body)) ?? [:]
        return state.withLock { state in
            switch words.first {
            case "keys": Self.keys(words[1], user, device, body, &state)
            case "sendToDevice": Self.send(words[1], user, body, &state)
            case "user":
                Self.accountData("\(words[1]) \(words[3])", body, isRead: call.body.isEmpty, &state)
            default: [:]
            }
        }
    }

    func sync(user: String, device: String) -> JSONValue {
        state.withLock { state in
            let inbox = state.inboxes.removeValue(forKey: "\(user)|\(device)") ?? []
            let changed = state.changed.removeValue(forKey: "\(user)|\(device)") ?? []
            return [
                "to_device": ["events": .array(inbox)],
                "device_lists": ["changed": .array(changed.sorted().map { .string($0) })],
            ]
        }
    }

    /// Tells everybody that the user's keys are others.
    func tell(of user: String) { state.withLock { Self.tell(of: user, &$0) } }

    private static func keys(
        _ what: String, _ user: String, _ device: String, _ body: JSONValue, _ state: inout State
    ) -> JSONValue {
        switch what {
        case "upload":
            if let keys = body["device_keys"] { state.deviceKeys[user, default: [:]][device] = keys }
            for (id, key) in body["one_time_keys"]?.members ?? [] {
                state.oneTimeKeys["\(user)|\(device)", default: []].append((id, key))
            }
            tell(of: user, &state)
            return ["one_time_key_counts": ["signed_curve25519": 25]]
        case "device_signing":
            for (name, key) in body.members where name.hasSuffix("_key") {
                state.crossSigning[user, default: [:]][name] = key
            }
            tell(of: user, &state)
            return [:]
        case "signatures":
            for (owner, objects) in body.members {
                for (name, object) in objects.members { sign(owner, name, object, &state) }
                tell(of: owner, &state)
            }
            return ["failures": [:]]
        case "query": return query(body, user, state)
        default: return claim(body, &state)
        }
    }

    private static func sign(_ owner: String, _ name: String, _ object: JSONValue, _ state: inout State) {
        func merge(_ into: inout JSONValue?) {
            for (signer, signatures) in object["signatures"]?.members ?? [] {
                for (id, signature) in signatures.members {
                    var all = into?["signatures"] ?? [:]
                    var own = all[signer] ?? [:]
                    own[id] = signature
                    all[signer] = own
                    into?["signatures"] = all
                }
            }
        }
        if state.deviceKeys[owner]?[name] != nil {
            merge(&state.deviceKeys[owner, default: [:]][name])
        } else {
            merge(&state.crossSigning[owner, default: [:]]["master_key"])
        }
    }

    private static func query(_ body: JSONValue, _ asking: String, _ state: State) -> JSONValue {
        var answer: JSONValue = ["failures": [:]]
        for (user, _) in body["device_keys"]?.members ?? [] {
            func put(_ field: String, _ value: JSONValue?) {
                var all = answer[field] ?? [:]
                all[user] = value
                answer[field] = all
            }
            put("device_keys", .object(state.deviceKeys[user] ?? [:]))
            put("master_keys", state.crossSigning[user]?["master_key"])
            put("self_signing_keys", state.crossSigning[user]?["self_signing_key"])
            if user == asking { put("user_signing_keys", state.crossSigning[user]?["user_signing_key"]) }
        }
        return answer
    }

    private static func claim(_ body: JSONValue, _ state: inout State) -> JSONValue {
        var found: JSONValue = [:]
        for (user, devices) in body["one_time_keys"]?.members ?? [] {
            var given: JSONValue = [:]
            for (device, _) in devices.members {
                guard let key = state.oneTimeKeys["\(user)|\(device)"]?.first else { continue }
                state.oneTimeKeys["\(user)|\(device)"]?.removeFirst()
                given[device] = [key.id: key.key]
            }
            found[user] = given
        }
        return ["one_time_keys": found]
    }

    private static func send(_ type: String, _ sender: String, _ body: JSONValue, _ state: inout State) -> JSONValue {
        for (recipient, devices) in body["messages"]?.members ?? [] {
            for (name, content) in devices.members {
                state.inboxes["\(recipient)|\(name)", default: []].append([
                    "type": .string(type), "sender": .string(sender), "content": content,
                ])
            }
        }
        return [:]
    }

    private static func accountData(
        _ name: String, _ body: JSONValue, isRead: Bool, _ state: inout State
    ) -> JSONValue {
        if isRead { return state.accountData[name] ?? ["errcode": "M_NOT_FOUND"] }
        state.accountData[name] = body
        return [:]
    }

    private static func tell(of user: String, _ state: inout State) {
        for (other, devices) in state.deviceKeys {
            for device in devices.keys { state.changed["\(other)|\(device)", default: []].insert(user) }
        }
    }
}
