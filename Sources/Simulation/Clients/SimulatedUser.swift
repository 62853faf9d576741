internal import FedchatTesting
internal import HTTPMessages
internal import HTTPTypes
internal import MatrixModel
internal import Synchronization

/// A user with one client, which asks its server as the specification has it, and asks again when the server is away.
final class SimulatedUser: Sendable {
    struct Answer: Sendable {
        var status: Int
        var body: JSONValue
        var isGood: Bool { status < 300 }
    }

    private struct State {
        var token = ""
        var transactions = 0
    }

    let user: UserID
    let server: SimulatedServer
    private let world: World
    private let chance: Chance
    private let state = Mutex(State())

    init(_ localpart: String, on server: SimulatedServer, in world: World, chance: Chance) throws {
        user = try UserID("@\(localpart):\(server.name)")
        self.server = server
        self.world = world
        self.chance = chance
    }

    // MARK: Asking

    /// Asks once. `nil` when the connection broke: it may have been done, or not.
    func askOnce(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil) async -> Answer? {
        await world.sleep(chance.milliseconds(1...20))
        var head = HTTPRequest(method: method, scheme: "https", authority: server.name.text, path: path)
        let token = state.withLock { $0.token }
        if !token.isEmpty { head.headerFields[.authorization] = "Bearer \(token)" }
        world.records.count { $0.requests += 1 }
        let request = IncomingRequest(
            head: head, body: HTTPBody(body?.serialized() ?? []), remoteAddress: "192.0.2.1", isSecure: true)
        guard let response = await server.take(request), let bytes = try? await response.body.collect(upTo: 64 << 20)
        else { return nil }
        await world.sleep(chance.milliseconds(1...20))
        let answer = (try? JSONDocument(bytes)).map { JSONValue($0.root) } ?? .null
        world.trace.note("\(user) \(method.rawValue) \(path.prefix(120)) \(response.status.code)")
        if response.status.code == 401, !token.isEmpty { world.records.find("\(server.name) does not know \(user)") }
        return Answer(status: response.status.code, body: answer)
    }

    /// Asks until there is an answer; for what may be asked twice. `nil` when the server stays away.
    func ask(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil) async -> Answer? {
        for _ in 0..<200 {
            if let answer = await askOnce(method, path, body), ![500, 502, 503, 504].contains(answer.status) {
                return answer
            }
            await world.sleep(chance.milliseconds(200...3_000))
        }
        world.records.find("\(user): \(server.name) did not answer \(method.rawValue) \(path.prefix(80))")
        return nil
    }

    func register() async {
        let body: JSONValue = [
            "username": .string(user.localpart), "password": "secret", "auth": ["type": "m.login.dummy"],
        ]
        guard let answer = await ask(.post, "/_matrix/client/v3/register", body), answer.isGood,
            let token = answer.body["access_token"]?.string
        else { return world.records.find("\(user) cannot register") }
        state.withLock { $0.token = token }
    }

    // MARK: Rooms

    func createRoom(_ version: RoomVersion, powerUsers: [UserID]) async -> RoomID? {
        var levels: JSONValue = ["users_default": 0, "state_default": 50, "invite": 0]
        if !version.rules.authorization.privilegedCreators {
            var users: [String: JSONValue] = [user.text: 100]
            for other in powerUsers where other != user { users[other.text] = 60 }
            levels["users"] = .object(users)
        } else {
            levels["users"] = .object(
                Dictionary(
                    powerUsers.filter { $0 != user }.map { ($0.text, 60) }, uniquingKeysWith: { first, _ in first }))
        }
        let body: JSONValue = [
            "room_version": .string(version.text), "preset": "public_chat", "power_level_content_override": levels,
        ]
        guard let answer = await ask(.post, "/_matrix/client/v3/createRoom", body), answer.isGood else { return nil }
        return answer.body["room_id"]?.string.flatMap { try? RoomID($0) }
    }

    /// Joins; the answer may be that it is not allowed, or that no server can help now.
    @discardableResult
    func join(_ room: RoomID, via servers: [ServerName]) async -> Bool {
        await joinOnce(room, via: servers)?.isGood ?? false
    }

    /// Joins, and asks again while there is no answer or no server can help: others may already take the user for joined
    /// while its own server does not, which then takes no events and gives no history to whoever came since.
    func comeBack(to room: RoomID, via servers: [ServerName]) async {
        for _ in 0..<10 {
            if let answer = await joinOnce(room, via: servers), ![502, 503, 504].contains(answer.status) { return }
            await world.sleep(chance.milliseconds(200...3_000))
        }
    }

    private func joinOnce(_ room: RoomID, via servers: [ServerName]) async -> Answer? {
        let names = servers.map { "via=\($0.text)&server_name=\($0.text)" }.joined(separator: "&")
        let answer = await askOnce(
            .post, "/_matrix/client/v3/join/\(PercentEncoding.encode(room.text))?\(names)", [:])
        if answer?.isGood == true { world.records.count { $0.joins += 1 } }
        return answer
    }

    /// Sends an event and keeps asking until it is known whether it is sent.
    @discardableResult
    func send(_ type: String, _ content: JSONValue, to room: RoomID) async -> EventID? {
        await put(room, "send/\(type)") { _ in content }
    }

    @discardableResult
    func redact(_ event: EventID, in room: RoomID) async -> EventID? {
        await put(room, "redact/\(PercentEncoding.encode(event.text))") { _ in ["reason": "so"] }
    }

    private func put(_ room: RoomID, _ what: String, content: (String) -> JSONValue) async -> EventID? {
        let transaction = state.withLock { state in
            state.transactions += 1
            return "t\(state.transactions)"
        }
        let path = "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room.text))/\(what)/\(transaction)"
        return note(
            await ask(.put, path, content(transaction)), room, transaction, isRedaction: what.hasPrefix("redact"))
    }

    /// Sets state. What is lost on the way is not asked for again: it might undo what others did since.
    @discardableResult
    func set(_ type: String, key: String = "", _ content: JSONValue, in room: RoomID) async -> EventID? {
        let path =
            "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room.text))/state/\(type)/\(PercentEncoding.encode(key))"
        return note(await askOnce(.put, path, content), room, nil)
    }

    private func note(
        _ answer: Answer?, _ room: RoomID, _ transaction: String?, isRedaction: Bool = false
    ) -> EventID? {
        guard let answer else { return nil }
        guard answer.isGood, let id = answer.body["event_id"]?.string.flatMap({ try? EventID($0) }) else {
            world.records.count { $0.refused += 1 }
            return nil
        }
        world.records.acknowledge(
            .init(
                event: id, room: room, server: server.name, user: user, transaction: transaction,
                isRedaction: isRedaction))
        return id
    }

    /// `leave`, and with another user `invite`, `kick`, `ban`, `unban`.
    func act(_ verb: String, in room: RoomID, on other: UserID? = nil) async {
        let body: JSONValue = other.map { ["user_id": .string($0.text)] } ?? [:]
        guard
            let answer = await askOnce(
                .post, "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room.text))/\(verb)", body)
        else { return }
        if !answer.isGood { world.records.count { $0.refused += 1 } }
    }

    /// Pages back through all of a room, as far as it goes. `nil` when the server does not let the user.
    func readAll(_ room: RoomID) async -> [JSONValue]? {
        var events: [JSONValue] = []
        var from = ""
        for _ in 0..<1_000 {
            var path = "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room.text))/messages?dir=b&limit=50"
            if !from.isEmpty { path += "&from=\(PercentEncoding.encode(from))" }
            guard let answer = await ask(.get, path), answer.isGood else { return nil }
            events += answer.body["chunk"]?.elements ?? []
            guard let end = answer.body["end"]?.string else { return events }
            if end == from { return events }
            from = end
        }
        return events
    }
}
