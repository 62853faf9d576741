import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Thread subscriptions") struct ThreadSubscriptionTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    private func path(_ room: RoomID, _ root: StoredEvent) -> String {
        "unstable/io.element.msc4306/rooms/\(room)/thread/\(PercentEncoding.encode(root.id.text))/subscription"
    }

    private func reply(_ root: StoredEvent, _ server: SyncServer, _ room: RoomID) async throws -> StoredEvent {
        try await server.writer.send(
            EventDraft(
                type: .message, sender: alice,
                content: [
                    "msgtype": "m.text", "body": "reply",
                    "m.relates_to": ["rel_type": "m.thread", "event_id": .string(root.id.text)],
                ], roomID: room))
    }

    @Test func `in a muted room followed threads are told of, and others nowhere once that is switched on`()
        async throws
    {
        let server = try await SyncServer()
        let (muted, loud) = (try await server.room(with: [bob, carol]), try await server.room(with: [bob, carol]))
        var rules = PushRuleset(user: bob)
        try rules.put(PushRule(.room, id: muted.text, ["actions": []]))
        try await server.setAccountData("m.push_rules", rules.content, of: bob)
        let (root, other) = (try await server.message("root", muted), try await server.message("other", muted))
        let loudRoot = try await server.message("root", loud)
        #expect(try await server.call(.put, path(muted, root), as: bob, [:]).status == 200)
        for (root, room) in [(root, muted), (other, muted), (loudRoot, loud)] {
            _ = try await reply(root, server, room)
        }
        let filter: JSONValue = ["room": ["timeline": ["unread_thread_notifications": true]]]
        func counts(_ room: RoomID) async throws -> [String: Int64] {
            let joined = try await server.sync(bob, filter: filter).room(room)
            var found = ["main": joined?["unread_notifications"]?["notification_count"]?.integer ?? -1]
            for (root, count) in joined?["unread_thread_notifications"]?.object ?? [:] {
                found[root] = count["notification_count"]?.integer
            }
            return found
        }
        #expect(try await counts(muted) == ["main": 0, root.id.text: 1])
        #expect(try await counts(loud) == ["main": 1, loudRoot.id.text: 1])
        try rules.setEnabled(.postcontent, ".io.element.msc4306.rule.unsubscribed_thread", true)
        try await server.setAccountData("m.push_rules", rules.content, of: bob)
        #expect(try await counts(loud) == ["main": 1])
        #expect(try await counts(muted) == ["main": 0, root.id.text: 1])
    }

    @Test func `a thread is followed, read and left`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let root = try await server.message("root", room)
        let path = path(room, root)
        #expect(try await server.call(.get, path, as: bob).errcode == "M_NOT_FOUND")
        #expect(try await server.call(.put, path, as: bob, [:]).status == 200)
        #expect(try await server.call(.get, path, as: bob).body == ["automatic": false])
        #expect(try await server.call(.get, path, as: alice).errcode == "M_NOT_FOUND")
        #expect(try await server.call(.delete, path, as: bob).status == 200)
        #expect(try await server.call(.delete, path, as: bob).status == 200)
        #expect(try await server.call(.get, path, as: bob).errcode == "M_NOT_FOUND")
        // Who cannot see the root does not learn of it.
        #expect(try await server.call(.put, path, as: carol, [:]).errcode == "M_NOT_FOUND")
        let unknown = "unstable/io.element.msc4306/rooms/\(room)/thread/$none/subscription"
        #expect(try await server.call(.put, unknown, as: bob, [:]).errcode == "M_NOT_FOUND")
    }

    @Test func `what a client does by itself yields to what the user said`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let root = try await server.message("root", room)
        let outside = try await server.message("outside", room)
        let first = try await reply(root, server, room)
        let path = path(room, root)
        func put(_ cause: StoredEvent?) async throws -> Answer {
            try await server.call(.put, path, as: bob, cause.map { ["automatic": .string($0.id.text)] } ?? [:])
        }
        #expect(try await put(outside).errcode == "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD")
        #expect(try await put(first).status == 200)
        #expect(try await server.call(.get, path, as: bob).body == ["automatic": true])
        #expect(try await put(nil).status == 200)
        #expect(try await put(first).status == 200)
        #expect(try await server.call(.get, path, as: bob).body == ["automatic": false])
        _ = try await server.call(.delete, path, as: bob)
        // What was there when the user left does not bring the user back; what came later does.
        let answer = try await put(first)
        #expect(answer.status == 409)
        #expect(answer.errcode == "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION")
        #expect(try await put(reply(root, server, room)).status == 200)
        #expect(try await server.call(.get, path, as: bob).body == ["automatic": true])
        #expect(try await server.call(.put, path, as: bob, ["automatic": 7]).errcode == "M_BAD_JSON")
    }

    @Test func `changes are listed, the newest first, page by page`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        var roots: [StoredEvent] = []
        for number in 0..<5 {
            let root = try await server.message("\(number)", room)
            roots.append(root)
            _ = try await server.call(.put, path(room, root), as: bob, [:])
        }
        _ = try await server.call(.delete, path(room, roots[0]), as: bob)
        let list = "unstable/io.element.msc4308/thread_subscriptions"
        #expect(try await server.call(.get, list, as: bob).errcode == "M_MISSING_PARAM")
        #expect(try await server.call(.get, list + "?dir=f", as: bob).errcode == "M_INVALID_PARAM")
        #expect(try await server.call(.get, list + "?dir=b&limit=0", as: bob).errcode == "M_INVALID_PARAM")
        #expect(try await server.call(.get, list + "?dir=b&from=x", as: bob).errcode == "M_INVALID_PARAM")
        let all = try await server.call(.get, list + "?dir=b", as: bob)
        #expect(all["subscribed"]?[room.text]?.object?.count == 4)
        let ended: [String: JSONValue] = all["unsubscribed"]?[room.text]?.object ?? [:]
        #expect(Array(ended.keys) == [roots[0].id.text])
        #expect(all["end"] == nil)
        var seen: [String] = []
        var from = ""
        for _ in 0..<4 {
            let page = try await server.call(.get, list + "?dir=b&limit=2" + from, as: bob)
            for kind in ["subscribed", "unsubscribed"] { seen += page[kind]?[room.text]?.object?.keys.sorted() ?? [] }
            guard let end = page["end"]?.string else { break }
            from = "&from=\(end)"
        }
        #expect(seen.sorted() == roots.map(\.id.text).sorted())
        #expect(try await server.call(.get, list + "?dir=b", as: alice).body == [:])
    }

    @Test func `mutual rooms are listed with their number`() async throws {
        let server = try await SyncServer()
        let both = [try await server.room(with: [bob]), try await server.room(with: [bob])]
        _ = try await server.room(with: [carol])
        let path = "v1/mutual_rooms?user_id="
        let answer = try await server.call(.get, path + "@bob:test", as: alice)
        let joined = (answer["joined"]?.elements ?? []).compactMap(\.string)
        #expect(joined.sorted() == both.map(\.text).sorted())
        #expect(answer["count"] == 2)
        #expect(answer["next_batch"] == nil)
        #expect(try await server.call(.get, path + "@nobody:test", as: alice).body == ["joined": [], "count": 0])
        #expect(try await server.call(.get, path + "@alice:test", as: alice).errcode == "M_INVALID_PARAM")
        #expect(try await server.call(.get, path + "bob", as: alice).errcode == "M_INVALID_PARAM")
        #expect(try await server.call(.get, path + "@bob:test&from=x", as: alice).errcode == "M_INVALID_PARAM")
        #expect(try await server.call(.get, "v1/mutual_rooms", as: alice).errcode == "M_MISSING_PARAM")
        let page = try await server.environment.database.read { [alice, bob] connection in
            try SharedRooms(connection).rooms(of: alice, and: bob, after: 0, limit: 1)
        }
        #expect(page.rooms.count == 1)
        #expect(page.count == 2)
    }
}
