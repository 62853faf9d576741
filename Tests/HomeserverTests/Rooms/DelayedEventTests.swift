import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

/// Delayed events (MSC4140).
@Suite("Delayed events") struct DelayedEventTests {
    private static let base = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events"

    private struct Scene {
        let server: TestHomeserver
        let alice: TestHomeserver.Client
        let bob: TestHomeserver.Client
        let room: RoomID

        func delay(
            _ client: TestHomeserver.Client, _ path: String, _ milliseconds: Int, _ content: JSONValue
        ) async throws -> String {
            let answer = try await client.ask(
                .put, "/_matrix/client/v3/rooms/\(percent(room.text))/\(path)?org.matrix.msc4140.delay=\(milliseconds)",
                content)
            return try #require(answer["delay_id"]?.string)
        }

        func act(_ action: String, _ id: String) async throws {
            _ = try await server.ask(.post, "\(DelayedEventTests.base)/\(id)/\(action)", [:])
        }

        func waiting(_ client: TestHomeserver.Client) async throws -> [JSONValue] {
            try await client.ask(.get, DelayedEventTests.base)["delayed_events"]?.elements ?? []
        }

        func state(_ type: String, _ key: String) async throws -> JSONValue? {
            let (reader, id) = (server.reader, try EventType(type))
            guard let record = try await reader.record(room) else { return nil }
            return try await reader.stateEvent(record, id, key).map { JSONValue($0.pdu.content) }
        }
    }

    private func scene(_ database: any Database) async throws -> Scene {
        let server = try await TestHomeserver("a.test", on: LoopNetwork(), database: database)
        let (alice, bob) = (try await server.register("alice"), try await server.register("bob"))
        let room = try await alice.createRoom("12", ["power_level_content_override": ["state_default": 0]])
        try await bob.join(room, via: server)
        return Scene(server: server, alice: alice, bob: bob, room: room)
    }

    private func run(_ store: TestStore, _ test: @escaping (Scene) async throws -> Void) async throws {
        try await store.run { database, _ in
            let scene = try await scene(database)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await scene.server.instance.run() }
                try await test(scene)
                group.cancelAll()
            }
        }
    }

    private func error(_ work: () async throws -> Void) async -> MatrixError? {
        do {
            try await work()
            return nil
        } catch { return error as? MatrixError }
    }

    @Test(arguments: TestStore.available)
    func `a message and a state event are sent after their time, once`(_ store: TestStore) async throws {
        try await run(store) { scene in
            let message = try await scene.delay(
                scene.alice, "send/m.room.message/t1", 100_000, ["msgtype": "m.text", "body": "later"])
            let again = try await scene.delay(
                scene.alice, "send/m.room.message/t1", 100_000, ["msgtype": "m.text", "body": "later"])
            #expect(message == again)
            let state = try await scene.delay(scene.alice, "state/org.example.call/me", 100_000, ["left": true])
            let waiting = try await scene.waiting(scene.alice)
            #expect(waiting.map { $0["delay_id"]?.string } == [message, state])
            #expect(waiting.first?["content"]?["body"] == "later")
            #expect(waiting.first?["delay"] == 100_000)
            #expect(waiting.last?["state_key"] == "me")
            #expect(try await scene.waiting(scene.bob).isEmpty)
            #expect(try await scene.server.messages(scene.room) == [])
            try await eventually { try await scene.state("org.example.call", "me") == ["left": true] }
            try await eventually { try await scene.server.messages(scene.room) == ["later"] }
            #expect(try await scene.waiting(scene.alice).isEmpty)
            #expect(await error { try await scene.act("restart", message) }?.code == .notFound)
            // Who sent it is told which it was.
            for (client, expected) in [(scene.alice, message), (scene.bob, nil)] {
                let page = try await client.ask(
                    .get, "/_matrix/client/v3/rooms/\(percent(scene.room.text))/messages?dir=b&limit=10")
                let event = page["chunk"]?.elements.first { $0["type"] == "m.room.message" }
                #expect(event?["unsigned"]?["org.matrix.msc4140.delay_id"]?.string == expected)
            }
        }
    }

    @Test(arguments: TestStore.available)
    func `it is canceled, restarted and sent by who knows its id`(_ store: TestStore) async throws {
        try await run(store) { scene in
            let content: JSONValue = ["msgtype": "m.text", "body": "gone"]
            let canceled = try await scene.delay(scene.alice, "send/m.room.message/1", 3_600_000, content)
            try await scene.act("cancel", canceled)
            #expect(try await scene.waiting(scene.alice).isEmpty)
            let sent = try await scene.delay(scene.alice, "state/org.example.call/x", 3_600_000, ["a": 1])
            try await scene.act("send", sent)
            #expect(try await scene.state("org.example.call", "x") == ["a": 1])
            let kept = try await scene.delay(scene.alice, "state/org.example.call/y", 3_600_000, ["a": 1])
            let before = try await scene.waiting(scene.alice).first?["running_since"]?.integer ?? 0
            try await ContinuousClock().sleep(for: .milliseconds(20))
            _ = try await scene.server.ask(.post, "\(Self.base)/\(kept)", ["action": "restart"])
            let after = try await scene.waiting(scene.alice).first?["running_since"]?.integer ?? 0
            #expect(after > before)
            for id in [canceled, sent, "no-such"] {
                for action in ["cancel", "restart", "send"] {
                    #expect(await error { try await scene.act(action, id) }?.code == .notFound)
                }
            }
            #expect(await error { try await scene.act("dance", kept) }?.code == .invalidParameter)
            let lacking = await error { _ = try await scene.server.ask(.post, "\(Self.base)/\(kept)", [:]) }
            #expect(lacking?.code == .missingParameter)
        }
    }

    @Test(arguments: TestStore.available)
    func `a state that another sets cancels what would set it, one's own does not`(_ store: TestStore) async throws {
        try await run(store) { scene in
            _ = try await scene.delay(scene.alice, "state/org.example.call/shared", 3_600_000, ["by": "alice"])
            _ = try await scene.delay(scene.alice, "state/org.example.call/other", 3_600_000, ["by": "alice"])
            try await scene.alice.set("org.example.call", ["by": "alice now"], scene.room, key: "shared")
            #expect(try await scene.waiting(scene.alice).count == 2)
            try await scene.bob.set("org.example.call", ["by": "bob"], scene.room, key: "shared")
            #expect(try await scene.waiting(scene.alice).map { $0["state_key"] } == ["other"])
        }
    }

    @Test(arguments: TestStore.available)
    func `two nodes that see it due send one event, and a node that died is stood in for`(_ store: TestStore)
        async throws
    {
        try await store.run { database, _ in
            let scene = try await scene(database)
            let other = TestHomeserver(restarting: scene.server, on: LoopNetwork())
            for number in 0..<10 {
                _ = try await scene.delay(
                    scene.alice, "send/m.room.message/\(number)", 1, ["msgtype": "m.text", "body": "\(number)"])
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await scene.server.instance.run() }
                group.addTask { await other.instance.run() }
                try await eventually { try await scene.waiting(scene.alice).isEmpty }
                try await eventually { try await scene.server.messages(scene.room).count == 10 }
                group.cancelAll()
            }
            #expect(Set(try await scene.server.messages(scene.room)).count == 10)

            // A node that died after sending and before it could note that.
            let id = try await scene.delay(
                scene.alice, "send/m.room.message/last", 1, ["msgtype": "m.text", "body": "last"])
            let now = scene.server.environment.clock.now()
            let event = try #require(
                try await database.write {
                    try DelayedEventStore($0, .plain).claim(id, now: now, until: now)
                })
            _ = try await scene.server.reader.database.read { _ in 0 }
            let delivery = EventDelivery(
                writer: RoomWriter(environment: scene.server.environment, reader: scene.server.reader),
                memberships: MembershipEditing(
                    writer: RoomWriter(environment: scene.server.environment, reader: scene.server.reader),
                    collaborators: RoomCollaborators()))
            _ = try await delivery.send(
                EventWish(
                    room: event.room, type: event.type, sender: event.user,
                    content: try JSONValue.parse(event.content)),
                origin: SendOrigin(
                    user: event.user, device: event.device, scope: "delayed",
                    transactionID: DelayedSending.transactionPrefix + id), timestamp: nil)
            _ = await DelayedSending(delivery: delivery).sendDue()
            #expect(try await scene.server.messages(scene.room).filter { $0 == "last" }.count == 1)
            #expect(try await scene.waiting(scene.alice).isEmpty)
        }
    }

    @Test func `an invite that was sent before its node died is not sent again, here or elsewhere`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("12")
            let carol = try await servers.a.register("carol")
            let environment = servers.a.environment
            for (target, home) in [(carol, servers.a), (servers.bob, servers.b)] {
                let answer = try await servers.alice.ask(
                    .put,
                    "/_matrix/client/v3/rooms/\(percent(room.text))/state/m.room.member/\(percent(target.user.text))?org.matrix.msc4140.delay=100000",
                    ["membership": "invite"])
                let id = try #require(answer["delay_id"]?.string)
                let waiting = try await environment.database.read { [alice = servers.alice.user] connection in
                    try DelayedEventStore(connection, .plain).list(of: alice, now: environment.clock.now()).first
                }
                let event = try #require(waiting)
                _ = try await servers.a.ask(.post, "\(Self.base)/\(id)/send", [:])
                try await target.join(room, via: servers.a)
                // As it is found where the node died before it could note that it was done.
                try await environment.database.write { _ = try DelayedEventStore($0, .plain).add(event, limit: 10) }
                _ = try await servers.a.ask(.post, "\(Self.base)/\(id)/send", [:])
                try await eventually {
                    try await home.reader.membership(of: target.user, in: room)?.membership == .join
                }
                let left = try await environment.database.read { [alice = servers.alice.user] connection in
                    try DelayedEventStore(connection, .plain).list(of: alice, now: Int64.max)
                }
                #expect(left == [])
            }
        }
    }

    @Test(arguments: TestStore.available)
    func `who lost a claim takes nothing out, and what is due next is known`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            try await Instance.migrate(database)
            let (alice, room) = (try UserID("@alice:a.test"), try RoomID("!room:a.test"))
            try await database.write { connection in
                let store = DelayedEventStore(connection, .plain)
                #expect(try store.nextDue() == nil)
                for (id, time) in [("a", Int64(100)), ("b", 200), ("c", 300)] {
                    let event = DelayedEventStore.Event(
                        id: id, user: alice, device: nil, room: room, type: .message, stateKey: nil,
                        content: Array("{}".utf8), delay: 10, sendAt: time)
                    #expect(try store.add(event, limit: 10) == nil)
                }
                #expect(try store.nextDue() == 100)
                let first = try #require(try store.claim("a", now: 110, until: 150))
                #expect(first.claimedUntil == 150)
                #expect(try store.nextDue() == 150)
                let due = try store.claimDue(now: 210, until: 400, limit: 10)
                #expect(due.map(\.id) == ["a", "b"])
                #expect(try store.nextDue() == 300)
                // Its claim ended, and another has it.
                try store.remove(first)
                #expect(try store.list(of: alice, now: 1_000).map(\.id) == ["a", "b", "c"])
                try store.remove(try #require(due.first))
                #expect(try store.list(of: alice, now: 1_000).map(\.id) == ["b", "c"])
                #expect(try store.cancel("c", now: 1_000))
                #expect(try store.nextDue() == 400)
            }
        }
    }

    @Test func `too long a delay, too many, and rooms one is not in are refused`() async throws {
        let server = try await TestHomeserver("a.test", on: LoopNetwork()) {
            $0.limits.delayedEventsPerUser = 2
            $0.timeouts.delayedEventMaximum = 100_000
        }
        let (alice, bob) = (try await server.register("alice"), try await server.register("bob"))
        let room = try await alice.createRoom("12")
        func ask(_ client: TestHomeserver.Client, _ delay: String, _ transaction: Int) async -> MatrixError? {
            await error {
                try await client.ask(
                    .put,
                    "/_matrix/client/v3/rooms/\(percent(room.text))/send/m.room.message/\(transaction)?org.matrix.msc4140.delay=\(delay)",
                    ["msgtype": "m.text", "body": "x"])
            }
        }
        #expect(await ask(alice, "100001", 1)?.fields["org.matrix.msc4140.max_delay"] == 100_000)
        #expect(await ask(alice, "0", 2)?.code == .invalidParameter)
        #expect(await ask(alice, "soon", 3)?.code == .invalidParameter)
        #expect(await ask(bob, "1000", 4)?.code == .forbidden)
        #expect(await ask(alice, "50000", 5) == nil)
        #expect(await ask(alice, "50000", 6) == nil)
        let refused = await ask(alice, "50000", 7)
        #expect(refused?.code == .limitExceeded)
        #expect((refused?.retryAfterMilliseconds ?? 0) > 40_000)
        let capabilities = try await alice.ask(.get, "/_matrix/client/v3/capabilities")["capabilities"]
        #expect(
            capabilities?["org.matrix.msc4140.delayed_events"] == ["max_delay_ms": 100_000, "max_scheduled": 2])
    }
}
