import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Reading rooms, in detail") struct ReadingDetailsTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    private func names(_ answer: Answer, _ key: String = "chunk") -> [String] {
        (answer[key]?.elements ?? []).map(Answer.name)
    }

    private func filter(_ filter: JSONValue) -> String {
        "filter=" + PercentEncoding.encode(String(decoding: filter.serialized(), as: UTF8.self))
    }

    @discardableResult
    private func relate(
        _ text: String, to root: StoredEvent, by user: UserID, _ server: SyncServer, _ room: RoomID,
        type: String = "m.thread"
    ) async throws -> StoredEvent {
        try await server.writer.send(
            EventDraft(
                type: .message, sender: user,
                content: [
                    "msgtype": "m.text", "body": .string(text),
                    "m.relates_to": ["rel_type": .string(type), "event_id": .string(root.id.text)],
                ], roomID: room))
    }

    @Test func `messages are filtered by how they relate, and by who relates to them`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        let root = try await server.message("root", room)
        let other = try await server.message("other", room)
        try await relate("in thread", to: root, by: bob, server, room)
        try await relate("reference", to: other, by: carol, server, room, type: "m.reference")
        func messages(_ wanted: JSONValue) async throws -> [String] {
            names(try await server.call(.get, "v3/rooms/\(room)/messages?dir=b&\(filter(wanted))", as: alice))
        }
        #expect(try await messages(["related_by_rel_types": ["m.thread"]]) == ["root"])
        #expect(try await messages(["related_by_senders": ["@carol:test"]]) == ["other"])
        #expect(
            try await messages(["related_by_rel_types": ["m.thread"], "related_by_senders": ["@carol:test"]]) == [])
        let types: JSONValue = ["m.room.message"]
        #expect(
            try await messages(["org.matrix.msc3874.not_rel_types": ["m.thread"], "types": types])
                == ["reference", "other", "root"])
        #expect(try await messages(["org.matrix.msc3874.rel_types": ["m.thread"]]) == ["in thread"])
        #expect(try await messages(["types": types, "not_senders": ["@alice:test"]]) == ["reference", "in thread"])
        #expect(try await messages(["not_rooms": [.string(room.text)]]) == [])
        #expect(try await messages(["rooms": [.string(room.text)], "types": types]).count == 4)
        let context = "v3/rooms/\(room)/context/\(PercentEncoding.encode(other.id.text))?limit=10&"
        let around = try await server.call(.get, context + filter(["types": ["m.room.message"]]), as: alice)
        #expect(names(around, "events_before") == ["root"])
        #expect(names(around, "events_after") == ["in thread", "reference"])
        let elsewhere = try await server.call(.get, context + filter(["not_rooms": [.string(room.text)]]), as: alice)
        #expect(names(elsewhere, "events_before") == [])
        #expect(elsewhere["event"]?["event_id"] == .string(other.id.text))
    }

    @Test func `messages load members lazily`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        try await server.message("one", room, by: carol)
        let wanted = filter(["lazy_load_members": true, "types": ["m.room.message"]])
        let page = try await server.call(.get, "v3/rooms/\(room)/messages?dir=b&\(wanted)", as: bob)
        #expect(names(page, "state") == ["@carol:test join"])
    }

    @Test func `members are picked by membership, two of which mean the one or not the other`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        try await server.set(.leave, carol, room)
        func members(_ query: String) async throws -> [String] {
            names(try await server.call(.get, "v3/rooms/\(room)/members?\(query)", as: alice)).sorted()
        }
        #expect(try await members("membership=leave") == ["@carol:test leave"])
        #expect(try await members("not_membership=leave") == ["@alice:test join", "@bob:test join"])
        #expect(try await members("membership=join&not_membership=join").count == 3)
        #expect(try await members("membership=leave&not_membership=leave").count == 3)
        #expect(try await members("membership=join&not_membership=leave") == ["@alice:test join", "@bob:test join"])
        let before = try await server.sync(alice, filter: ["room": ["timeline": ["limit": 1]]])
        let at = try #require(before.room(room)?["timeline"]?["prev_batch"]?.string)
        #expect(try await members("at=\(at)&membership=join").count == 3)
        #expect(
            try await server.call(.get, "v3/rooms/\(room)/members?membership=x", as: alice).errcode == "M_INVALID_PARAM"
        )
    }

    @Test func `a receipt's thread fits its event, or is refused`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let root = try await server.message("root", room)
        let reply = try await relate("reply", to: root, by: alice, server, room)
        let edit = try await relate("edit", to: reply, by: alice, server, room, type: "m.replace")
        func send(_ event: StoredEvent, _ thread: JSONValue, type: String = "m.read") async throws -> String {
            let path = "v3/rooms/\(room)/receipt/\(type)/\(PercentEncoding.encode(event.id.text))"
            let answer = try await server.call(.post, path, as: bob, ["thread_id": thread])
            return answer.status == 200 ? "ok" : "\(answer.status) \(answer.errcode ?? "")"
        }
        let invalid = "400 M_INVALID_PARAM"
        let id = JSONValue.string(root.id.text)
        #expect(try await send(root, "main") == "ok")
        #expect(try await send(root, id) == "ok")
        #expect(try await send(reply, id) == "ok")
        #expect(try await send(edit, id, type: "m.read.private") == "ok")
        #expect(try await send(reply, "main") == invalid)
        #expect(try await send(edit, "main") == invalid)
        #expect(try await send(reply, .string(reply.id.text + "x")) == invalid)
        #expect(try await send(root, "") == invalid)
        #expect(try await send(root, 7) == invalid)
        #expect(try await send(root, "main", type: "m.fully_read") == invalid)
        #expect(try await send(root, "main", type: "m.other") == invalid)
    }

    @Test func `a thread whose root an ignored user sent is listed without the words, with its size`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        let root = try await server.message("bad words", room, by: carol)
        try await relate("reply", to: root, by: bob, server, room)
        try await server.setAccountData("m.ignored_user_list", ["ignored_users": ["@carol:test": [:]]], of: alice)
        let answer = try await server.call(.get, "v1/rooms/\(room)/threads", as: alice)
        let event = answer["chunk"]?.elements.first
        #expect(event?["event_id"] == .string(root.id.text))
        #expect(event?["content"] == [:])
        #expect(event?["unsigned"]?["m.relations"]?["m.thread"]?["count"] == 1)
        #expect(!String(describing: answer.body).contains("bad words"))
    }
}
