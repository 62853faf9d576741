import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

/// Sticky events (MSC4354).
@Suite("Sticky events") struct StickyEventTests {
    private func stick(
        _ client: TestHomeserver.Client, _ room: RoomID, _ text: String, _ milliseconds: Int = 3_000_000
    ) async throws -> EventID {
        let answer = try await client.ask(
            .put,
            "/_matrix/client/v3/rooms/\(percent(room.text))/send/m.room.message/\(text)?org.matrix.msc4354.sticky_duration_ms=\(milliseconds)",
            ["msgtype": "m.text", "body": .string(text)])
        return try EventID(answer["event_id"]?.string ?? "")
    }

    private func sync(_ client: TestHomeserver.Client, since: String? = nil) async throws -> JSONValue {
        let filter = "%7B%22room%22:%7B%22timeline%22:%7B%22limit%22:2%7D%7D%7D"
        return try await client.ask(
            .get, "/_matrix/client/v3/sync?timeout=0&filter=\(filter)" + (since.map { "&since=\($0)" } ?? ""))
    }

    private func sticky(_ answer: JSONValue, _ room: RoomID) -> [String?] {
        (answer["rooms"]?["join"]?[room.text]?["msc4354_sticky"]?["events"]?.elements ?? []).map {
            $0["content"]?["body"]?.string
        }
    }

    @Test(arguments: TestStore.available)
    func `who comes late, or missed much, is told sticky events that still hold`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            let clock = SyncClock()
            let server = try await TestHomeserver("a.test", on: LoopNetwork(), database: database, clock: clock)
            let (alice, bob) = (try await server.register("alice"), try await server.register("bob"))
            let room = try await alice.createRoom("12")
            try await alice.set("m.room.history_visibility", ["history_visibility": "joined"], room)
            let since = try await sync(alice)["next_batch"]?.string ?? ""
            let long = try await stick(alice, room, "long", 99_999_999)
            let event = try #require(try await server.event(long))
            #expect(StickyEvent.milliseconds(of: event.pdu) == 3_600_000)
            _ = try await stick(alice, room, "short", 60_000)
            let redacted = try await stick(alice, room, "redacted")
            try await alice.ask(
                .put, "/_matrix/client/v3/rooms/\(percent(room.text))/redact/\(percent(redacted.text))/r", [:])
            for number in 0..<5 { try await alice.say("\(number)", room) }

            let missed = try await sync(alice, since: since)
            #expect(sticky(missed, room) == ["long", "short"])
            #expect(sticky(try await sync(alice, since: missed["next_batch"]?.string), room) == [])
            try await bob.join(room, via: server)
            #expect(sticky(try await sync(bob), room) == ["long", "short"])
            clock.advance(milliseconds: 120_000)
            #expect(sticky(try await sync(bob), room) == ["long"])
            let told = try await sync(bob)["rooms"]?["join"]?[room.text]?["msc4354_sticky"]?["events"]?.elements.first
            #expect(told?["msc4354_sticky"] == ["duration_ms": 3_600_000])
            // A filter of the timeline does not keep it from anybody.
            let before = try await sync(bob)["next_batch"]?.string ?? ""
            _ = try await stick(alice, room, "filtered")
            let filter = "%7B%22room%22:%7B%22timeline%22:%7B%22types%22:%5B%5D%7D%7D%7D"
            let filtered = try await bob.ask(
                .get, "/_matrix/client/v3/sync?timeout=0&filter=\(filter)&since=\(before)")
            #expect(sticky(filtered, room) == ["filtered"])
            // In the timeline it is not told a second time.
            _ = try await stick(alice, room, "newest")
            let now = try await sync(bob)
            #expect(sticky(now, room) == ["long"])
            #expect(now["rooms"]?["join"]?[room.text]?["timeline"]?["events"]?.elements.count == 2)
            clock.advance(milliseconds: 3_600_000)
            try await database.write { try StickyEventStore($0).forget(before: clock.now()) }
            #expect(try await database.read { try $0.query("SELECT 1 FROM sticky_events") }.isEmpty)
        }
    }

    @Test func `a server that comes into the room is sent what its users would miss`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("12")
            let event = try await stick(servers.alice, room, "here")
            for number in 0..<3 { try await servers.alice.say("\(number)", room) }
            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await servers.b.event(event) != nil }
            try await eventually {
                try await servers.b.environment.database.read { try !$0.query("SELECT 1 FROM sticky_events").isEmpty }
            }
            let answer = try await sync(servers.bob)
            let shown =
                sticky(answer, room)
                + (answer["rooms"]?["join"]?[room.text]?["timeline"]?["events"]?.elements ?? []).map {
                    $0["content"]?["body"]?.string
                }
            #expect(shown.contains("here"))
        }
    }

    @Test func `a state that is sent again as sticky is a new event`() async throws {
        let server = try await TestHomeserver("a.test", on: LoopNetwork())
        let alice = try await server.register("alice")
        let room = try await alice.createRoom("12")
        let path =
            "/_matrix/client/v3/rooms/\(percent(room.text))/state/org.example.call/me?org.matrix.msc4354.sticky_duration_ms=1000"
        let first = try await alice.ask(.put, path, ["a": 1])
        let second = try await alice.ask(.put, path, ["a": 1])
        #expect(first["event_id"] != second["event_id"])
    }
}
