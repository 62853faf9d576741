import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Listing notifications") struct NotificationListingTests {
    private struct Page {
        var notifications: [JSONValue]
        var next: String?
        var bodies: [String] {
            notifications.map { $0["event"]?["content"]?["body"]?.string ?? $0["event"]?["type"]?.string ?? "?" }
        }
    }

    private func page(_ client: TestHomeserver.Client, _ query: String = "") async throws -> Page {
        let answer = try await client.ask(.get, "/_matrix/client/v3/notifications?" + query)
        return Page(notifications: answer["notifications"]?.elements ?? [], next: answer["next_token"]?.string)
    }

    @Test func `notifications of all rooms are listed, the newest first, with what was read`() async throws {
        try await PushServer.run { world in
            let tea = try await world.room(["name": "Tea"])
            let milk = try await world.room(["name": "Milk"])
            try await world.alice.say("one", tea)
            let second = try await world.alice.say("two", milk)
            try await world.read(second, milk, by: world.bob)
            try await world.bob.say("own", tea)
            try await world.alice.say("three", tea)
            let all = try await page(world.bob)
            #expect(all.bodies == ["three", "two", "one"])
            #expect(all.next == nil)
            #expect(all.notifications.map { $0["read"] } == [false, true, false])
            #expect(
                all.notifications.map { $0["room_id"]?.string } == [tea.text, milk.text, tea.text])
            let first = all.notifications.first
            #expect(first?["actions"] == ["notify", ["set_tweak": "sound", "value": "default"]])
            #expect((first?["ts"]?.integer ?? 0) > 1_600_000_000_000)
            #expect(first?["event"]?["room_id"] == nil)
            #expect(first?["event"]?["sender"]?.string == world.alice.user.text)
        }
    }

    @Test func `pages follow each other, also while more is said`() async throws {
        try await PushServer.run { world in
            var rooms: [RoomID] = []
            for number in 1...3 { rooms.append(try await world.room(["name": .string("r\(number)")])) }
            var said: [String] = []
            for number in 1...25 {
                let text = "m\(number)"
                try await world.alice.say(text, rooms[number % 3])
                said.append(text)
            }
            var found: [String] = []
            var query = "limit=4"
            for _ in 1...20 {
                let next = try await page(world.bob, query)
                #expect(next.notifications.count <= 4)
                found += next.bodies
                try await world.alice.say("later", rooms[0])
                guard let token = next.next else { break }
                query = "limit=4&from=\(token)"
            }
            #expect(found == said.reversed())
            await #expect(throws: MatrixError.self) { _ = try await page(world.bob, "from=s1_2") }
        }
    }

    @Test func `only highlights are listed on wish, and an invite is one of the others`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            try await world.alice.ask(
                .put, "/_matrix/client/v3/rooms/\(percent(room.text))/send/m.room.message/1",
                [
                    "msgtype": "m.text", "body": "bob!",
                    "m.mentions": ["user_ids": [.string(world.bob.user.text)]],
                ])
            for number in 1...30 { try await world.alice.say("m\(number)", room) }
            let other = try await world.alice.createRoom("12")
            try await world.alice.act("invite", other, on: world.bob.user)
            let highlights = try await page(world.bob, "only=highlight&limit=2")
            #expect(highlights.bodies == ["bob!"])
            #expect(highlights.next == nil)
            let newest = try await page(world.bob, "limit=2")
            #expect(newest.bodies == ["m.room.member", "m30"])
        }
    }
}
