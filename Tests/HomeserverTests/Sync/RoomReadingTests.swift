import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import Testing

@testable import Homeserver

@Suite("Reading rooms") struct RoomReadingTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    private func names(_ answer: Answer, _ key: String = "chunk") -> [String] {
        (answer[key]?.elements ?? []).map(Answer.name)
    }

    @Test func `history is paged back to its begin and forth to its end`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        for number in 1...5 { try await server.message("m\(number)", room) }
        let path = "v3/rooms/\(room)/messages"
        var seen: [String] = []
        var from = ""
        for _ in 0..<10 {
            let page = try await server.call(.get, "\(path)?dir=b&limit=3\(from)", as: bob)
            #expect(page.status == 200)
            seen += names(page)
            guard let end = page["end"]?.string else { break }
            from = "&from=\(end)"
        }
        let expected = [
            "m5", "m4", "m3", "m2", "m1", "@bob:test join", "m.room.history_visibility", "m.room.join_rules",
            "m.room.power_levels", "@alice:test join", "m.room.create",
        ]
        #expect(seen == expected)
        seen = []
        from = ""
        for _ in 0..<10 {
            let page = try await server.call(.get, "\(path)?dir=f&limit=4\(from)", as: bob)
            seen += names(page)
            guard let end = page["end"]?.string else { break }
            from = "&from=\(end)"
        }
        #expect(seen == expected.reversed())
        let filtered = try await server.call(
            .get, "\(path)?dir=b&limit=2&filter=%7B%22types%22%3A%5B%22m.room.member%22%5D%7D", as: bob)
        #expect(names(filtered) == ["@bob:test join", "@alice:test join"])
        #expect(try await server.call(.get, "\(path)?from=x", as: bob).errcode == "M_UNKNOWN")
        #expect(try await server.call(.get, "\(path)?dir=x", as: bob).errcode == "M_INVALID_PARAM")
        #expect(try await server.call(.get, path, as: carol).errcode == "M_FORBIDDEN")
    }

    @Test func `who left reads until then`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "then", with: [bob])
        let event = try await server.message("before", room)
        try await server.set(.leave, bob, room)
        try await server.state(.name, ["name": "now"], room)
        let later = try await server.message("after", room)
        let path = "v3/rooms/\(room)"
        let page = try await server.call(.get, "\(path)/messages?dir=b&limit=2", as: bob)
        #expect(names(page) == ["@bob:test leave", "before"])
        #expect(try await server.call(.get, "\(path)/state/m.room.name", as: bob)["name"] == "then")
        #expect(try await server.call(.get, "\(path)/state/m.room.name/", as: alice)["name"] == "now")
        func status(_ event: StoredEvent) async throws -> Int {
            try await server.call(.get, "\(path)/event/\(PercentEncoding.encode(event.id.text))", as: bob).status
        }
        #expect(try await status(event) == 200)
        #expect(try await status(later) == 404)
        #expect(try await server.call(.get, "\(path)/joined_members", as: bob).errcode == "M_FORBIDDEN")
    }

    @Test func `a world-readable room is for everybody`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(visibility: "world_readable")
        try await server.message("news", room)
        let page = try await server.call(.get, "v3/rooms/\(room)/messages?dir=b&limit=1", as: carol)
        #expect(names(page) == ["news"])
        #expect(page["chunk"]?.elements.first?["unsigned"]?["membership"] == "leave")
        #expect(page["chunk"]?.elements.first?["room_id"]?.string == room.text)
    }

    @Test func `state and members are read`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        try await server.set(.invite, carol, room, by: alice)
        let path = "v3/rooms/\(room)"
        let state = try await server.call(.get, "\(path)/state", as: bob)
        #expect(state.body.elements.count == 8)
        let whole = try await server.call(.get, "\(path)/state/m.room.name?format=event", as: bob)
        #expect(whole["sender"] == "@alice:test")
        #expect(whole["content"] == ["name": "tea"])
        #expect(try await server.call(.get, "\(path)/state/m.room.topic", as: bob).errcode == "M_NOT_FOUND")
        let members = try await server.call(.get, "\(path)/members?not_membership=join", as: bob)
        #expect(names(members) == ["@carol:test invite"])
        let joined = try await server.call(.get, "\(path)/joined_members", as: bob)
        #expect(joined["joined"] == ["@alice:test": ["display_name": "Alice"], "@bob:test": [:]])
        let before = try await server.sync(bob).next
        try await server.set(.join, carol, room)
        let at = try await server.call(.get, "\(path)/members?at=\(before)&membership=join", as: bob)
        #expect(names(at) == ["@alice:test join", "@bob:test join"])
    }

    @Test func `an event is read with what is around it`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        var events: [StoredEvent] = []
        for number in 1...5 { events.append(try await server.message("m\(number)", room)) }
        let id = PercentEncoding.encode(events[2].id.text)
        let answer = try await server.call(.get, "v3/rooms/\(room)/context/\(id)?limit=2", as: bob)
        #expect(answer["event"]?["content"]?["body"] == "m3")
        #expect(names(answer, "events_before") == ["m2"])
        #expect(names(answer, "events_after") == ["m4"])
        #expect(names(answer, "state").contains("m.room.create"))
        let (start, end) = (answer["start"]?.string ?? "", answer["end"]?.string ?? "")
        let back = try await server.call(.get, "v3/rooms/\(room)/messages?dir=b&limit=1&from=\(start)", as: bob)
        #expect(names(back) == ["m1"])
        let forth = try await server.call(.get, "v3/rooms/\(room)/messages?dir=f&limit=1&from=\(end)", as: bob)
        #expect(names(forth) == ["m5"])
        let time = events[3].pdu.originServerTimestamp
        let found = try await server.call(.get, "v1/rooms/\(room)/timestamp_to_event?dir=f&ts=\(time)", as: bob)
        #expect(found["event_id"]?.string == events[3].id.text)
    }

    @Test func `what was redacted says by what`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let event = try await server.message("secret", room)
        let first = try await server.sync(bob)
        #expect(first.timeline(room).contains("secret"))
        try await server.watching {
            try await server.writer.send(
                EventDraft(
                    type: .redaction, sender: SyncServer.alice, content: ["redacts": .string(event.id.text)],
                    roomID: room, redacts: event.id))
            while server.rooms.events.event(event.nid)?.redactedBy == nil, server.rooms.events.event(event.nid) != nil {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        let path = "v3/rooms/\(room)/event/\(PercentEncoding.encode(event.id.text))"
        let answer = try await server.call(.get, path, as: bob)
        #expect(answer["content"] == [:])
        #expect(answer["unsigned"]?["redacted_because"]?["type"] == "m.room.redaction")
        #expect(try await !server.sync(bob).timeline(room).contains("secret"))
    }

    @Test func `rooms are listed by those who may, and found`() async throws {
        let server = try await SyncServer()
        let tea = try await server.room(named: "Tea lovers", with: [bob])
        let coffee = try await server.room(named: "Coffee")
        for room in [tea, coffee] {
            let path = "v3/directory/list/room/\(room)"
            #expect(try await server.call(.put, path, as: bob, [:]).errcode == "M_FORBIDDEN")
            #expect(try await server.call(.get, path, as: bob)["visibility"] == "private")
            #expect(try await server.call(.put, path, as: alice, ["visibility": "public"]).status == 200)
            #expect(try await server.call(.get, path, as: bob)["visibility"] == "public")
        }
        func names(_ answer: Answer) -> [String?]? {
            answer["chunk"]?.elements.map { $0["name"]?.string }
        }
        let first = try await server.call(.get, "v3/publicRooms?limit=1", as: carol)
        #expect(names(first) == ["Tea lovers"])
        #expect(first["total_room_count_estimate"] == 2)
        #expect(first["chunk"]?.elements.first?["num_joined_members"] == 2)
        let next = first["next_batch"]?.string ?? ""
        let second = try await server.call(.get, "v3/publicRooms?limit=1&since=\(next)", as: carol)
        #expect(names(second) == ["Coffee"])
        #expect(second["next_batch"] == nil)
        let found = try await server.call(
            .post, "v3/publicRooms", as: carol, ["filter": ["generic_search_term": "tea"]])
        #expect(names(found) == ["Tea lovers"])
        #expect(try await server.call(.get, "v3/publicRooms?server=far.test", as: carol).errcode == "M_UNRECOGNIZED")
    }
}
