import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

/// What comes of a room while a server joins it.
@Suite("Rooms that are being joined") struct JoiningTests {
    /// Holds the answers to joins back until something is done.
    private struct Holding: HTTPHandler {
        let handler: any HTTPHandler
        /// Whether the answers are lost then.
        var loses = false
        let meanwhile: @Sendable () async throws -> Void

        func handle(_ request: IncomingRequest) async -> OutgoingResponse {
            let response = await handler.handle(request)
            guard request.head.path?.contains("/send_join/") == true else { return response }
            try? await meanwhile()
            return loses ? OutgoingResponse(status: .badGateway) : response
        }
    }

    private func isJoining(_ server: TestHomeserver) async throws -> Bool {
        let now = server.environment.clock.now()
        return try await server.environment.database.read {
            try !$0.query("SELECT 1 FROM joining_rooms WHERE until > \(now)").isEmpty
        }
    }

    /// How many transactions were sent to Bob's server.
    private func sends(_ servers: TwoServers) -> Int {
        servers.network.paths.count { $0.hasPrefix("b.test/_matrix/federation/v1/send/") }
    }

    /// Has Alice say something while Bob joins, once the resident has taken him in.
    private func joining(
        _ version: String, _ meanwhile: @escaping @Sendable (TwoServers, RoomID) async throws -> Void,
        _ test: (TwoServers, RoomID) async throws -> Void
    ) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom(version)
            let held = Holding(handler: servers.a.handler) {
                let before = sends(servers)
                try await meanwhile(servers, room)
                // It was sent, and given time to be answered.
                try await eventually { sends(servers) > before }
                try await ContinuousClock().sleep(for: .milliseconds(100))
            }
            servers.network.connect("a.test", held)
            try await test(servers, room)
            #expect(try await !isJoining(servers.b))
        }
    }

    private static let say: @Sendable (TwoServers, RoomID) async throws -> Void = { servers, room in
        try await servers.alice.say("meanwhile", room)
    }

    @Test(arguments: ["1", "12"])
    func `what is said before its state has come is there with it`(_ version: String) async throws {
        try await joining(version, Self.say) { servers, room in
            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await servers.b.messages(room) == ["meanwhile"] }
        }
    }

    @Test func `so is what is said while it is joined once more`() async throws {
        try await joining("12", Self.say) { servers, room in
            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await servers.b.messages(room) == ["meanwhile"] }
            // A minute later.
            try await servers.b.environment.database.write { try $0.execute("UPDATE joining_rooms SET until = 0") }
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await servers.b.messages(room) == ["meanwhile", "meanwhile"] }
        }
    }

    @Test func `who is taken out before its state has come is out`() async throws {
        try await joining(
            "12", { servers, room in try await servers.alice.act("kick", room, on: servers.bob.user) }
        ) { servers, room in
            try? await servers.bob.join(room, via: servers.a)
            try await eventually { try await servers.b.membership(servers.bob.user, room) == .leave }
        }
    }

    @Test func `users of one server who join at once are all in`() async throws {
        try await TwoServers.run { servers in
            var users = [servers.bob]
            for name in ["brenda", "bruno", "bea"] { users.append(try await servers.b.register(name)) }
            let room = try await servers.alice.createRoom("12")
            let taken = Mutex(0)
            servers.network.connect(
                "a.test",
                Holding(handler: servers.a.handler) { [users] in
                    // All are answered at the same time.
                    taken.withLock { $0 += 1 }
                    try await eventually { taken.withLock { $0 } == users.count }
                })
            try await withThrowingTaskGroup(of: Void.self) { group in
                for user in users { group.addTask { try await user.join(room, via: servers.a) } }
                try await group.waitForAll()
            }
            for user in users {
                #expect(try await servers.a.membership(user.user, room) == .join)
                #expect(try await servers.b.membership(user.user, room) == .join)
            }
            try await servers.alice.say("to all", room)
            try await eventually { try await servers.b.messages(room) == ["to all"] }
            try await servers.agree(room)
        }
    }

    @Test func `where the join fails, what was sent meanwhile is passed over`() async throws {
        try await HostileServerTests.play("12") { scene in
            let (b, bob) = (scene.servers.b, scene.servers.bob)
            let message = try scene.message("meanwhile")
            try await withThrowingTaskGroup(of: Void.self) { group in
                // The room's own server fails after it has taken the user in; another has spoken by then.
                let (taken, take) = AsyncStream<Void>.makeStream()
                scene.servers.network.connect(
                    "a.test",
                    Holding(handler: scene.servers.a.handler, loses: true) {
                        take.finish()
                        try await ContinuousClock().sleep(for: .milliseconds(200))
                    })
                group.addTask {
                    for await _ in taken {}
                    #expect(try await isJoining(b))
                    let answer = try await scene.evil.send([message.canonicalJSON], to: b)
                    #expect(try await !isJoining(b))
                    #expect(answer.status == 200)
                }
                await #expect(throws: MatrixError.self) { try await bob.join(scene.room, via: scene.servers.a) }
                try await group.waitForAll()
            }
            #expect(try await b.reader.record(scene.room) == nil)
            let waits = try await b.environment.database.read {
                try !$0.query("SELECT 1 FROM inbound_staging").isEmpty
            }
            #expect(!waits)
        }
    }

    @Test func `who never answers a join holds up what else is sent for a while only`() async throws {
        try await HostileServerTests.play("12", { $0.timeouts.joinHeld = 3_000 }) { scene in
            let (b, bob) = (scene.servers.b, scene.servers.bob)
            let (over, end) = AsyncStream<Void>.makeStream()
            let (taken, take) = AsyncStream<Void>.makeStream()
            scene.servers.network.connect(
                "a.test",
                Holding(handler: scene.servers.a.handler, loses: true) {
                    take.finish()
                    for await _ in over {}
                })
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try? await bob.join(scene.room, via: scene.servers.a) }
                for await _ in taken {}
                let message = try scene.message("meanwhile")
                #expect(try await scene.evil.send([message.canonicalJSON], to: b).status == 200)
                end.finish()
                try await group.waitForAll()
            }
        }
    }

    @Test func `who had joined before as only others know is told the whole room, though its history is here by then`()
        async throws
    {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("12")
            try await servers.alice.say("welcome", room)
            let first = try await servers.b.sync(servers.bob, lazy: false)
            servers.network.connect("a.test", Holding(handler: servers.a.handler, loses: true) {})
            await #expect(throws: MatrixError.self) { try await servers.bob.join(room, via: servers.a) }
            #expect(try await servers.a.membership(servers.bob.user, room) == .join)
            servers.network.connect("a.test", servers.a.handler)
            try await servers.bob.join(room, via: servers.a)
            let path = "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=b&limit=50"
            _ = try await servers.bob.ask(.get, path)
            try await eventually { try await servers.b.messages(room) == ["welcome"] }

            let since = try #require(first["next_batch"]?.string)
            let told = try await servers.b.sync(servers.bob, since: since, lazy: false)
            let joined = told["rooms"]?["join"]?[room.text]
            let events = ["state", "timeline"].flatMap { joined?[$0]?["events"]?.elements ?? [] }
            #expect(events.contains { $0["type"] == "m.room.create" })
        }
    }
}
