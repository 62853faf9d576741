import HTTPMessages
import HTTPTypes
import Homeserver
import MatrixAPI
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

/// A homeserver with Alice and Bob, and a push gateway, on a network in memory.
struct PushServer: Sendable {
    let network: LoopNetwork
    let server: TestHomeserver
    let gateway: PretendGateway
    let alice: TestHomeserver.Client
    let bob: TestHomeserver.Client

    static func run(
        database: (any Database)? = nil, mail: (any MailSender)? = nil,
        _ configure: (inout HomeserverConfiguration) -> Void = { _ in }, _ test: (PushServer) async throws -> Void
    ) async throws {
        let network = LoopNetwork()
        let gateway = PretendGateway()
        network.connect("push.test", gateway)
        let server = try await TestHomeserver("a.test", on: network, database: database, mail: mail, configure)
        let all = PushServer(
            network: network, server: server, gateway: gateway, alice: try await server.register("alice"),
            bob: try await server.register("bob"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.instance.run() }
            try await test(all)
            group.cancelAll()
        }
    }

    static func pusher(_ key: String = "key", data: [String: JSONValue] = [:], more: [String: JSONValue] = [:])
        -> JSONValue
    {
        var options: JSONValue = ["url": "https://push.test/_matrix/push/v1/notify"]
        for (name, value) in data { options[name] = value }
        var body: JSONValue = [
            "kind": "http", "app_id": "org.app", "pushkey": .string(key), "app_display_name": "App",
            "device_display_name": "Phone", "lang": "en", "data": options,
        ]
        for (name, value) in more { body[name] = value }
        return body
    }

    /// Sets a pusher, and waits until the sender knows it.
    func push(_ client: TestHomeserver.Client, _ body: JSONValue = pusher()) async throws {
        try await client.ask(.post, "/_matrix/client/v3/pushers/set", body)
    }

    func pushers(_ client: TestHomeserver.Client) async throws -> [JSONValue] {
        try await client.ask(.get, "/_matrix/client/v3/pushers")["pushers"]?.elements ?? []
    }

    func room(_ more: [String: JSONValue] = ["name": "Tea"]) async throws -> RoomID {
        let room = try await alice.createRoom("12", more)
        try await bob.join(room, via: server)
        return room
    }

    func read(_ event: EventID, _ room: RoomID, by client: TestHomeserver.Client) async throws {
        try await client.ask(
            .post, "/_matrix/client/v3/rooms/\(percent(room.text))/receipt/m.read/\(percent(event.text))", [:])
    }
}

/// A mail server that keeps what it gets.
final class PretendMailServer: MailSender {
    private let state = Mutex<(mails: [OutgoingMail], failures: Int)>(([], 0))

    var mails: [OutgoingMail] { state.withLock { $0.mails } }
    /// The next so many mails are not taken.
    func fail(_ count: Int) { state.withLock { $0.failures = count } }

    func send(_ mail: OutgoingMail) async throws(MailError) {
        let fails = state.withLock { state in
            guard state.failures == 0 else {
                state.failures -= 1
                return true
            }
            state.mails.append(mail)
            return false
        }
        if fails { throw .failed("not now") }
    }
}
