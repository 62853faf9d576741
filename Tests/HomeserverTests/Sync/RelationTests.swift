import HTTPTypes
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Relations") struct RelationTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    private func send(
        _ server: SyncServer, _ room: RoomID, _ type: String, to target: EventID, by user: UserID, _ body: String,
        key: String? = nil, event: EventType = .message
    ) async throws -> EventID {
        var content: [String: JSONValue] = [
            "msgtype": "m.text", "body": .string(body),
            "m.relates_to": .fields([
                "rel_type": .string(type), "event_id": .string(target.text), "key": key.map { .string($0) },
            ]),
        ]
        if type == "m.replace" { content["m.new_content"] = ["msgtype": "m.text", "body": .string(body)] }
        return try await server.writer.send(
            EventDraft(type: event, sender: user, content: .object(content), roomID: room)
        ).id
    }

    private func bundle(_ server: SyncServer, _ room: RoomID, _ id: EventID, as user: UserID) async throws -> JSONValue?
    {
        try await server.call(.get, "v3/rooms/\(room)/event/\(id)", as: user)["unsigned"]?["m.relations"]
    }

    private func names(_ answer: Answer) -> [String] {
        (answer["chunk"]?.elements ?? []).map(Answer.name)
    }

    @Test func `the newest edit by the sender is bundled, whole`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let event = try await server.message("first", room).id
        _ = try await send(server, room, "m.replace", to: event, by: alice, "second")
        let newest = try await send(server, room, "m.replace", to: event, by: alice, "third")
        _ = try await send(server, room, "m.replace", to: event, by: bob, "not bob's to edit")

        let edit = try await bundle(server, room, event, as: bob)?["m.replace"]
        #expect(edit?["event_id"] == .string(newest.text))
        #expect(edit?["content"]?["m.new_content"]?["body"] == "third")
        let shown = try await server.call(.get, "v3/rooms/\(room)/event/\(event)", as: bob)
        #expect(shown["content"]?["body"] == "first")
    }

    @Test func `an edit without new content, or of another type, is none`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let event = try await server.message("first", room).id
        _ = try await send(server, room, "m.replace", to: event, by: alice, "x", event: EventType("other"))
        #expect(try await bundle(server, room, event, as: alice) == nil)
        _ = try await server.writer.send(
            EventDraft(
                type: .message, sender: alice,
                content: ["m.relates_to": ["rel_type": "m.replace", "event_id": .string(event.text)]], roomID: room))
        #expect(try await bundle(server, room, event, as: alice) == nil)
    }

    @Test func `a redacted edit counts no more, and a redacted event has none`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let event = try await server.message("first", room).id
        let second = try await send(server, room, "m.replace", to: event, by: alice, "second")
        let third = try await send(server, room, "m.replace", to: event, by: alice, "third")
        func redact(_ id: EventID) async throws {
            _ = try await server.writer.send(
                EventDraft(type: .redaction, sender: alice, content: [:], roomID: room, redacts: id))
        }
        try await redact(third)
        #expect(try await bundle(server, room, event, as: alice)?["m.replace"]?["event_id"] == .string(second.text))
        try await redact(event)
        #expect(try await bundle(server, room, event, as: alice)?["m.replace"] == nil)
    }

    @Test func `a thread tells its size, its last event with its edit, and who takes part`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        let root = try await server.message("root", room).id
        _ = try await send(server, room, "m.thread", to: root, by: bob, "one")
        let last = try await send(server, room, "m.thread", to: root, by: bob, "two")
        let edit = try await send(server, room, "m.replace", to: last, by: bob, "two, edited")

        let thread = try await bundle(server, room, root, as: carol)?["m.thread"]
        #expect(thread?["count"] == 2)
        #expect(thread?["current_user_participated"] == false)
        #expect(thread?["latest_event"]?["event_id"] == .string(last.text))
        #expect(
            thread?["latest_event"]?["unsigned"]?["m.relations"]?["m.replace"]?["event_id"] == .string(edit.text))
        for user in [alice, bob] {
            #expect(try await bundle(server, room, root, as: user)?["m.thread"]?["current_user_participated"] == true)
        }
    }

    @Test func `who is ignored is left out of aggregations`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        let root = try await server.message("root", room).id
        let kept = try await send(server, room, "m.thread", to: root, by: carol, "kept")
        _ = try await send(server, room, "m.thread", to: root, by: bob, "ignored")
        let reference = try await send(server, room, "m.reference", to: root, by: carol, "kept")
        _ = try await send(server, room, "m.reference", to: root, by: bob, "ignored")
        try await server.setAccountData("m.ignored_user_list", ["ignored_users": [bob.text: [:]]], of: alice)

        let told = try await bundle(server, room, root, as: alice)
        #expect(told?["m.thread"]?["count"] == 1)
        #expect(told?["m.thread"]?["latest_event"]?["event_id"] == .string(kept.text))
        #expect(told?["m.reference"] == ["chunk": [["event_id": .string(reference.text)]]])
        let list = try await server.call(.get, "v1/rooms/\(room)/relations/\(root)", as: alice)
        #expect(names(list) == ["kept", "kept"])
    }

    @Test func `reactions are not bundled, and state has no bundle`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let event = try await server.message("first", room).id
        _ = try await send(server, room, "m.annotation", to: event, by: alice, "x", key: "+", event: .reaction)
        #expect(try await bundle(server, room, event, as: alice) == nil)
        let topic = try await server.state(.topic, ["topic": "x"], room).id
        _ = try await send(server, room, "m.reference", to: topic, by: alice, "x")
        #expect(try await bundle(server, room, topic, as: alice) == nil)
    }

    @Test func `sync and messages bundle, too`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let event = try await server.message("first", room).id
        let edit = try await send(server, room, "m.replace", to: event, by: alice, "second")
        func edited(_ events: [JSONValue]) -> JSONValue? {
            events.first { $0["event_id"] == .string(event.text) }?["unsigned"]?["m.relations"]?["m.replace"]?[
                "event_id"]
        }
        let sync = try await server.sync(alice)
        #expect(edited(sync.room(room)?["timeline"]?["events"]?.elements ?? []) == .string(edit.text))
        let page = try await server.call(.get, "v3/rooms/\(room)/messages?dir=b", as: alice)
        #expect(edited(page["chunk"]?.elements ?? []) == .string(edit.text))
    }

    @Test func `relations are listed, filtered and paged`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let root = try await server.message("root", room).id
        for number in 1...5 { _ = try await send(server, room, "m.thread", to: root, by: bob, "t\(number)") }
        _ = try await send(server, room, "m.annotation", to: root, by: bob, "r", key: "+", event: .reaction)
        let path = "v1/rooms/\(room)/relations/\(root)"

        #expect(names(try await server.call(.get, path, as: alice)) == ["r", "t5", "t4", "t3", "t2", "t1"])
        #expect(names(try await server.call(.get, "\(path)/m.annotation", as: alice)) == ["r"])
        #expect(names(try await server.call(.get, "\(path)/m.annotation/m.room.message", as: alice)) == [])
        #expect(
            names(try await server.call(.get, "\(path)/m.thread?dir=f", as: alice)) == ["t1", "t2", "t3", "t4", "t5"])
        for (direction, expected) in [
            ("b", ["t5", "t4", "t3", "t2", "t1"]), ("f", ["t1", "t2", "t3", "t4", "t5"]),
        ] {
            var seen: [String] = []
            var from = ""
            for _ in 0..<5 {
                let page = try await server.call(
                    .get, "\(path)/m.thread/m.room.message?limit=2&dir=\(direction)\(from)", as: alice)
                seen += names(page)
                guard let next = page["next_batch"]?.string else { break }
                from = "&from=\(next)"
            }
            #expect(seen == expected)
        }
    }

    @Test func `indirect relations come when asked for, to a depth`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        var event = try await server.message("root", room).id
        let root = event
        for number in 1...5 { event = try await send(server, room, "m.reference", to: event, by: alice, "d\(number)") }
        let path = "v1/rooms/\(room)/relations/\(root)"
        let direct = try await server.call(.get, path, as: alice)
        #expect(names(direct) == ["d1"])
        #expect(direct["recursion_depth"] == nil)
        let deep = try await server.call(.get, "\(path)?recurse=true", as: alice)
        let unstable = try await server.call(.get, "\(path)?org.matrix.msc3981.recurse=true", as: alice)
        #expect(unstable["recursion_depth"] == deep["recursion_depth"])
        let ids = { (answer: Answer) in answer["chunk"]?.elements.map { $0["event_id"] } }
        #expect(ids(unstable) == ids(deep))
        #expect(names(deep) == ["d3", "d2", "d1"])
        #expect(deep["recursion_depth"] == 3)
    }

    @Test func `relations of what one may not see are not found`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(visibility: "joined")
        let event = try await server.message("before", room).id
        try await server.set(.join, bob, room)
        #expect(try await server.call(.get, "v1/rooms/\(room)/relations/\(event)", as: bob).status == 404)
        #expect(try await server.call(.get, "v1/rooms/\(room)/relations/$none", as: bob).status == 404)
        #expect(try await server.call(.get, "v1/rooms/\(room)/relations/\(event)", as: carol).status == 403)
    }

    @Test func `threads are listed by their last event, also only those one is in`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        var roots: [EventID] = []
        for number in 1...3 { roots.append(try await server.message("root\(number)", room).id) }
        for index in [0, 2, 1] { _ = try await send(server, room, "m.thread", to: roots[index], by: carol, "x") }
        _ = try await send(server, room, "m.thread", to: roots[0], by: bob, "y")
        let path = "v1/rooms/\(room)/threads"
        let all = try await server.call(.get, path, as: bob)
        #expect(names(all) == ["root1", "root2", "root3"])
        #expect(all["chunk"]?.elements.first?["unsigned"]?["m.relations"]?["m.thread"]?["count"] == 2)
        #expect(names(try await server.call(.get, "\(path)?include=participated", as: bob)) == ["root1"])
        #expect(names(try await server.call(.get, "\(path)?include=participated", as: alice)).count == 3)
        let first = try await server.call(.get, "\(path)?limit=2", as: bob)
        #expect(names(first) == ["root1", "root2"])
        let next = first["next_batch"]?.string ?? ""
        let second = try await server.call(.get, "\(path)?limit=2&from=\(next)", as: bob)
        #expect(names(second) == ["root3"])
        #expect(second["next_batch"] == nil)

        try await server.setAccountData("m.ignored_user_list", ["ignored_users": [alice.text: [:]]], of: bob)
        let ignoring = try await server.call(.get, path, as: bob)
        #expect(ignoring["chunk"]?.elements.count == 3)
        #expect(ignoring["chunk"]?.elements.first?["content"] == [:])
    }

    @Test func `relations of events from before they were kept are found in the background`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let event = try await server.message("first", room).id
        for number in 1...5 { _ = try await send(server, room, "m.thread", to: event, by: alice, "t\(number)") }
        let more = try await server.environment.database.write { connection -> [Bool] in
            try connection.execute("DELETE FROM event_relations")
            try connection.execute("INSERT INTO relation_indexing SELECT MAX(event_nid) + 1 FROM events")
            return try (0..<10).map { _ in try RelationStore(connection).indexOlder(.plain, limit: 3) }
        }
        #expect(more.contains(true))
        #expect(more.last == false)
        #expect(try await bundle(server, room, event, as: alice)?["m.thread"]?["count"] == 5)
    }
}
