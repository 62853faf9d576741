import Cryptography
import Foundation
import HTTPTypes
import Homeserver
import MatrixModel
import SQLDatabase
import Testing

@testable import HomeserverStorage

/// What was said in every way there is: nothing of it may be read from a sealed database.
@Suite("Sealed at rest") struct SealedAtRestTests {
    private static let marker = "what-must-not-be-read"

    /// The columns that hold content.
    private static let places: Set<String> = [
        "events.body", "to_device_messages.body", "account_data.content", "invites_received.event",
        "invites_received.stripped_state", "inbound_staging.body", "outbox_edus.body",
        "reports.reason", "delayed_events.content",
    ]

    private func sealer(_ names: String...) throws -> StorageSealer {
        let keys = try names.map {
            try #require(StorageSealer.Key(id: $0, bytes: SHA256.hash(Array($0.utf8))))
        }
        return StorageSealer(keys: keys, random: SystemRandomSource())
    }

    /// A server of Alice's on the database, with everything waiting that can wait, and Bob's server.
    private struct Scene {
        let network: LoopNetwork
        let a: TestHomeserver
        let b: TestHomeserver
        let alice: TestHomeserver.Client
        let bob: TestHomeserver.Client
        let room: RoomID
        let other: RoomID
    }

    /// Says the marker everywhere. Of the two servers only Bob's runs, so at Alice's what came in is not judged and what
    /// should go out is not sent.
    private func scene(_ database: any Database, _ sealer: StorageSealer, _ test: (Scene) async throws -> Void)
        async throws
    {
        let network = LoopNetwork()
        try await Instance.migrate(database)
        let a = try await TestHomeserver("a.test", on: network, database: database, sealer: sealer)
        let b = try await TestHomeserver("b.test", on: network)
        let alice = try await a.register("alice")
        let bob = try await b.register("bob")
        let marker = JSONValue.string(Self.marker)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await b.instance.run() }
            let room = try await alice.createRoom("12")
            let said = try await alice.say(Self.marker, room)
            try await alice.ask(
                .put, "/_matrix/client/v3/rooms/\(percent(room.text))/send/m.reaction/r",
                ["m.relates_to": ["rel_type": "m.annotation", "event_id": .string(said.text), "key": marker]])
            try await alice.set("m.room.topic", ["topic": marker], room)
            try await alice.ask(
                .post, "/_matrix/client/v3/rooms/\(percent(room.text))/report", ["reason": marker])
            try await alice.ask(
                .put,
                "/_matrix/client/v3/rooms/\(percent(room.text))/send/test.marker/d?org.matrix.msc4140.delay=80000000",
                ["secret": marker])
            try await bob.join(room, via: a)
            for user in [alice.user, bob.user] {
                try await alice.ask(
                    .put, "/_matrix/client/v3/sendToDevice/test.marker/\(user.localpart)",
                    ["messages": [user.text: ["*": ["secret": marker]]]])
            }
            let data = "/_matrix/client/v3/user/\(percent(alice.user.text))"
            try await alice.ask(.put, data + "/account_data/test.marker", ["secret": marker])
            try await alice.ask(
                .put, data + "/rooms/\(percent(room.text))/account_data/test.marker", ["secret": marker])
            let other = try await bob.createRoom("12", ["preset": "private_chat", "name": marker, "topic": marker])
            try await bob.ask(
                .post, "/_matrix/client/v3/rooms/\(percent(other.text))/invite",
                ["user_id": .string(alice.user.text), "reason": marker])
            try await bob.say(Self.marker + " by Bob", room)
            try await eventually {
                try await database.read { try !$0.query("SELECT 1 FROM inbound_staging").isEmpty }
            }
            try await test(
                Scene(network: network, a: a, b: b, alice: alice, bob: bob, room: room, other: other))
            group.cancelAll()
        }
    }

    /// Expects that some text is in these columns and no others.
    private func expect(
        _ columns: Set<String>, hold text: String, in database: any Database,
        _ location: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await TestStore.columns(holding: Array(text.utf8), in: database)
        #expect(found == columns, sourceLocation: location)
    }

    @Test(arguments: TestStore.available)
    func `without a key, content lies in the columns that are known to hold it, and in no others`(
        _ store: TestStore
    ) async throws {
        try await store.run { database, file in
            try await scene(database, .plain) { _ in
                try await expect(Self.places, hold: Self.marker, in: database)
                // So a search of the file would find it.
                if let file { #expect(Self.holds(file)) }
            }
        }
    }

    @Test(arguments: TestStore.available)
    func `with a key, nothing that was said can be read from the database`(_ store: TestStore) async throws {
        try await store.run { database, file in
            try await scene(database, sealer("one")) { scene in
                try await expect([], hold: Self.marker, in: database)
                try await expect(Self.places, hold: "\u{1}\u{3}one", in: database)
                // Nothing of it is lost: once Alice's server runs, it is judged and sent.
                try await run(scene.a) {
                    try await arrived(scene, scene.a)
                    try await expect([], hold: Self.marker, in: database)
                    if let file { #expect(!Self.holds(file)) }
                }
            }
        }
    }

    @Test(arguments: TestStore.available)
    func `a new key reaches what waits, and then the old one may go`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            try await scene(database, sealer("old")) { scene in
                let both = try sealer("new", "old")
                try await reseal(database, both)
                try await expect([], hold: "\u{1}\u{3}old", in: database)
                try await expect(Self.places, hold: "\u{1}\u{3}new", in: database)
                // Another node, which has the old key first, writes behind what was done.
                let late = try sealer("old", "new")
                try await database.write {
                    try Outbox($0).enqueueEDU([0x7B, 0x7D], to: "c.test", dedupeKey: nil, now: 1, sealer: late)
                }
                let isDone = try await database.write { try Resealing($0, both).isDone() }
                #expect(!isDone)
                try await reseal(database, both)
                let restarted = try await TestHomeserver(
                    "a.test", on: scene.network, database: database, sealer: sealer("new"))
                try await run(restarted) { try await arrived(scene, restarted) }
            }
        }
    }

    @Test(arguments: TestStore.available)
    func `what waited in a database of schema 1 can be read after the migration`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            try await Migrator.migrate(database, Array(Schema.migrations.prefix(1)), oldestCompatible: 1)
            let body = Array(#"{"a":"ü"}"#.utf8)
            try await database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO inbound_staging (origin, room_id, event_id, body, received)
                    VALUES ('b', '!r', '$e', \(body), 1)
                    """)
                try connection.execute(
                    "INSERT INTO outbox_edus (destination, body, created) VALUES ('b', \(body), 1)")
            }
            try await Instance.migrate(database)
            let (staged, edus) = try await database.read { connection in
                (
                    try InboundStaging(connection).staged(
                        in: .init(roomID: "!r", fetches: false), now: 2, limit: 9, sealer: .plain),
                    try Outbox(connection).pendingEDUs(for: "b", limit: 9, sealer: .plain)
                )
            }
            #expect(staged.map(\.body) == [body] && edus.map(\.body) == [body])
        }
    }

    private func reseal(_ database: any Database, _ sealer: StorageSealer) async throws {
        while try await database.write({ try Resealing($0, sealer).step() }) {}
        let isDone = try await database.write { try Resealing($0, sealer).isDone() }
        #expect(isDone)
    }

    private func run(_ server: TestHomeserver, _ work: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.instance.run() }
            try await work()
            group.cancelAll()
        }
    }

    /// Waits until all of the scene has come to where it should.
    private func arrived(_ scene: Scene, _ a: TestHomeserver) async throws {
        try await eventually { try await a.messages(scene.room) == [Self.marker, Self.marker + " by Bob"] }
        try await eventually {
            let answer = try await scene.bob.ask(.get, "/_matrix/client/v3/sync?timeout=0")
            return answer["to_device"]?["events"]?.elements.first?["content"]?["secret"]?.string == Self.marker
        }
        let alice = TestHomeserver.Client(server: a, user: scene.alice.user, token: scene.alice.token)
        let answer = try await alice.ask(.get, "/_matrix/client/v3/sync?timeout=0")
        #expect(answer["to_device"]?["events"]?.elements.first?["content"]?["secret"]?.string == Self.marker)
        #expect(answer["rooms"]?["invite"]?[scene.other.text] != nil)
        let data = answer["account_data"]?["events"]?.elements ?? []
        #expect(data.contains { $0["content"]?["secret"]?.string == Self.marker })
    }

    /// Whether SQLite's file or its log holds the marker.
    private static func holds(_ file: String) -> Bool {
        for path in [file, file + "-wal"] {
            if FileManager.default.contents(atPath: path)?.range(of: Foundation.Data(marker.utf8)) != nil {
                return true
            }
        }
        return false
    }
}
