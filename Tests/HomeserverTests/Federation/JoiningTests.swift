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

    private func waits(_ server: TestHomeserver) async throws -> Bool {
        try await server.environment.database.read { connection in
            try !connection.query("SELECT 1 FROM inbound_staging").isEmpty
                || !connection.query("SELECT 1 FROM joining_rooms").isEmpty
        }
    }

    /// Has Alice say something while Bob joins, once the resident has taken him in.
    private func joining(
        _ version: String, _ meanwhile: @escaping @Sendable (TwoServers, RoomID) async throws -> Void,
        _ test: (TwoServers, RoomID) async throws -> Void
    ) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom(version)
            let held = Holding(handler: servers.a.handler) {
                try await meanwhile(servers, room)
                // It was sent, and answered.
                try await eventually {
                    try await servers.a.environment.database.read {
                        try $0.query("SELECT 1 FROM outbox WHERE destination = 'b.test'").isEmpty
                    }
                }
            }
            servers.network.connect("a.test", held)
            try await test(servers, room)
            try await eventually { try await !waits(servers.b) }
        }
    }

    @Test(arguments: ["1", "12"])
    func `what is said before its state has come is there with it`(_ version: String) async throws {
        try await joining(version, { servers, room in try await servers.alice.say("meanwhile", room) }) { servers, room in
            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await servers.b.messages(room) == ["meanwhile"] }
        }
    }

    @Test func `so is what is said while it is joined once more`() async throws {
        try await joining("12", { servers, room in try await servers.alice.say("meanwhile", room) }) { servers, room in
            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await servers.b.messages(room) == ["meanwhile"] }
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

    @Test func `where the join fails, what was sent meanwhile goes`() async throws {
        try await HostileServerTests.play("12") { scene in
            let (b, bob) = (scene.servers.b, scene.servers.bob)
            let waited = Mutex(false)
            scene.servers.network.connect(
                "a.test",
                Holding(handler: scene.servers.a.handler, loses: true) {
                    let message = try scene.message("meanwhile")
                    #expect(try await scene.evil.send([message.canonicalJSON], to: b).status == 200)
                    let count = try await b.environment.database.read {
                        try $0.query("SELECT 1 FROM inbound_staging").count
                    }
                    waited.withLock { $0 = count == 1 }
                })
            await #expect(throws: MatrixError.self) { try await bob.join(scene.room, via: scene.servers.a) }
            #expect(waited.withLock { $0 })
            try await eventually { try await !waits(b) }
            #expect(try await b.reader.record(scene.room) == nil)
        }
    }
}
