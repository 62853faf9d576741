import Cryptography
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

/// `POST /search`, on every engine there is.
@Suite("Search") struct SearchTests {
    private struct Scene {
        let server: TestHomeserver
        let alice: TestHomeserver.Client
        let bob: TestHomeserver.Client

        /// Waits until all words are known.
        func indexed() async throws {
            try await eventually {
                try await server.environment.database.read { connection in
                    try connection.query("SELECT 1 FROM search_queue").isEmpty
                        && connection.query("SELECT 1 FROM search_indexing WHERE is_on = 1 AND below IS NULL").count
                            == 1
                }
            }
        }

        func search(
            _ client: TestHomeserver.Client, _ term: String, _ more: [String: JSONValue] = [:], next: String? = nil
        ) async throws -> JSONValue {
            try await indexed()
            var criteria: JSONValue = ["search_term": .string(term)]
            for (key, value) in more { criteria[key] = value }
            let path = "/_matrix/client/v3/search" + (next.map { "?next_batch=\($0)" } ?? "")
            let answer = try await client.ask(.post, path, ["search_categories": ["room_events": criteria]])
            return answer["search_categories"]?["room_events"] ?? .null
        }

        func bodies(
            _ client: TestHomeserver.Client, _ term: String, _ more: [String: JSONValue] = [:]
        ) async throws -> [String] {
            SearchTests.bodies(try await search(client, term, more))
        }
    }

    private static func bodies(_ answer: JSONValue) -> [String] {
        (answer["results"]?.elements ?? []).map {
            let content = $0["result"]?["content"]
            return content?["body"]?.string ?? content?["name"]?.string ?? content?["topic"]?.string ?? "?"
        }
    }

    private func run(_ store: TestStore, _ test: @escaping (Scene) async throws -> Void) async throws {
        try await store.run { database, _ in
            let server = try await TestHomeserver("a.test", on: LoopNetwork(), database: database)
            let scene = Scene(
                server: server, alice: try await server.register("alice"), bob: try await server.register("bob"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await server.instance.run() }
                try await test(scene)
                group.cancelAll()
            }
        }
    }

    @Test(arguments: TestStore.available)
    func `words are found in messages, names and topics, whatever their case and accents`(_ store: TestStore)
        async throws
    {
        try await run(store) { scene in
            let room = try await scene.alice.createRoom("12", ["name": "Café Mars", "topic": "About mars"])
            try await scene.alice.say("The Martians landed in Zürich", room)
            try await scene.alice.say("nothing of the kind", room)
            try await scene.alice.say("火星人が東京に着いた", room)
            #expect(try await scene.bodies(scene.alice, "zurich martian") == ["The Martians landed in Zürich"])
            #expect(Set(try await scene.bodies(scene.alice, "MARS")) == ["Café Mars", "About mars"])
            #expect(try await scene.bodies(scene.alice, "cafe", ["keys": ["content.name"]]) == ["Café Mars"])
            #expect(try await scene.bodies(scene.alice, "cafe", ["keys": ["content.body"]]) == [])
            #expect(try await scene.bodies(scene.alice, "東京") == ["火星人が東京に着いた"])
            #expect(try await scene.bodies(scene.alice, "京東") == [])
            #expect(try await scene.bodies(scene.alice, "\"of the kind\"") == ["nothing of the kind"])
            #expect(try await scene.bodies(scene.alice, "\"the of\"") == [])
            #expect(try await scene.bodies(scene.alice, "the -landed") == ["nothing of the kind"])
            #expect(try await scene.bodies(scene.alice, "!?'\"") == [])
            let answer = try await scene.search(scene.alice, "martian")
            #expect(answer["count"] == 1)
            #expect(answer["highlights"] == ["martian", "martians"])
            #expect(try await scene.bodies(scene.bob, "martian") == [])
        }
    }

    @Test(arguments: TestStore.available)
    func `an edit is found in place of what it edits, and a redacted message not at all`(_ store: TestStore)
        async throws
    {
        try await run(store) { scene in
            let room = try await scene.alice.createRoom("12")
            let event = try await scene.alice.say("apple", room)
            let edit =
                try await scene.alice.ask(
                    .put, "/_matrix/client/v3/rooms/\(percent(room.text))/send/m.room.message/e",
                    [
                        "msgtype": "m.text", "body": "* pear", "m.new_content": ["msgtype": "m.text", "body": "pear"],
                        "m.relates_to": ["rel_type": "m.replace", "event_id": .string(event.text)],
                    ])["event_id"]?.string ?? ""
            let found = try await scene.search(scene.alice, "pear")["results"]?.elements ?? []
            #expect(found.map { $0["result"]?["event_id"] } == [.string(event.text)])
            #expect(try await scene.bodies(scene.alice, "apple") == [])
            func redact(_ id: String) async throws {
                try await scene.alice.ask(
                    .put, "/_matrix/client/v3/rooms/\(percent(room.text))/redact/\(percent(id))/r\(id.count)", [:])
            }
            try await redact(edit)
            #expect(try await scene.bodies(scene.alice, "pear") == [])
            #expect(try await scene.bodies(scene.alice, "apple") == ["apple"])
            try await scene.alice.ask(
                .put, "/_matrix/client/v3/rooms/\(percent(room.text))/redact/\(percent(event.text))/last", [:])
            #expect(try await scene.bodies(scene.alice, "apple") == [])
            try await scene.indexed()
            let query = SearchStore.Query(
                term: try #require(SearchTerm("apple")), kinds: [.body], rooms: [1], isRecentFirst: false, limit: 9)
            #expect(try await scene.server.environment.database.read { try SearchStore($0).find(query) } == [])
            try await SearchIndexing(environment: scene.server.environment, rooms: scene.server.reader).clear()
            #expect(
                try await TestStore.columns(holding: Array("apple".utf8), in: scene.server.environment.database) == [])
        }
    }

    @Test(arguments: TestStore.available)
    func `only what a user may see is found and counted`(_ store: TestStore) async throws {
        try await run(store) { scene in
            let (alice, bob) = (scene.alice, scene.bob)
            let room = try await alice.createRoom("12")
            try await alice.set("m.room.history_visibility", ["history_visibility": "joined"], room)
            try await alice.say("comet before", room)
            try await bob.join(room, via: scene.server)
            try await alice.say("comet between", room)
            try await bob.act("leave", room)
            try await alice.say("comet after", room)
            let answer = try await scene.search(bob, "comet")
            #expect(Self.bodies(answer) == ["comet between"])
            #expect(answer["count"] == 1)
            #expect(try await scene.bodies(alice, "comet").count == 3)
            try await bob.act("forget", room)
            #expect(try await scene.bodies(bob, "comet") == [])

            // Nothing of rooms that are encrypted.
            let secret = try await alice.createRoom("12")
            try await alice.set("m.room.encryption", ["algorithm": "m.megolm.v1.aes-sha2"], secret)
            try await alice.say("comet secret", secret)
            #expect(try await !scene.bodies(alice, "comet").contains("comet secret"))
            // Nor of whom one ignores.
            let shared = try await alice.createRoom("12")
            try await bob.join(shared, via: scene.server)
            try await bob.say("comet by Bob", shared)
            #expect(try await scene.bodies(alice, "comet").contains("comet by Bob"))
            try await alice.ask(
                .put, "/_matrix/client/v3/user/\(percent(alice.user.text))/account_data/m.ignored_user_list",
                ["ignored_users": [bob.user.text: [:]]])
            #expect(try await !scene.bodies(alice, "comet").contains("comet by Bob"))
        }
    }

    @Test(arguments: TestStore.available, ["recent", "rank"])
    func `results come in pages, all of them and those of a group`(_ store: TestStore, _ order: String) async throws {
        try await run(store) { scene in
            let (alice, bob) = (scene.alice, scene.bob)
            var said: [String] = []
            var rooms: [RoomID] = []
            for name in ["one", "two"] {
                let room = try await alice.createRoom("12")
                rooms.append(room)
                try await bob.join(room, via: scene.server)
                for number in 0..<5 {
                    try await (number.isMultiple(of: 2) ? alice : bob).say("planet \(name) \(number)", room)
                    said.append("planet \(name) \(number)")
                }
            }
            let criteria: [String: JSONValue] = [
                "order_by": .string(order), "filter": ["limit": 3],
                "groupings": ["group_by": [["key": "room_id"], ["key": "sender"]]],
            ]
            var pages: [[String]] = []
            var next: String?
            var first: JSONValue = .null
            repeat {
                let answer = try await scene.search(alice, "planet", criteria, next: next)
                if pages.isEmpty { first = answer }
                #expect(answer["count"] == 10)
                pages.append(Self.bodies(answer))
                next = answer["next_batch"]?.string
            } while next != nil && pages.count < 10
            #expect(pages.map(\.count) == [3, 3, 3, 1])
            #expect(Set(pages.joined()) == Set(said))
            if order == "recent" { #expect(Array(pages.joined()) == said.reversed()) }
            let groups = try #require(first["groups"])
            #expect(
                groups["sender"]?.members.reduce(0) { $0 + ($1.value["results"]?.elements.count ?? 0) } == 3)
            let (name, group) = try #require(groups["room_id"]?.members.first { $0.value["order"] == 1 })
            var ofGroup = group["results"]?.elements.count ?? 0
            next = group["next_batch"]?.string
            while let token = next, ofGroup < 20 {
                let answer = try await scene.search(alice, "planet", criteria, next: token)
                for result in answer["results"]?.elements ?? [] {
                    #expect(result["result"]?["room_id"]?.string == name)
                }
                ofGroup += Self.bodies(answer).count
                next = answer["next_batch"]?.string
            }
            #expect(ofGroup == 5)
            let filtered = try await scene.search(
                alice, "planet",
                ["filter": ["senders": [.string(bob.user.text)], "rooms": [.string(rooms[1].text)], "limit": 50]])
            #expect(Set(Self.bodies(filtered)) == ["planet two 1", "planet two 3"])
        }
    }

    @Test(arguments: TestStore.available)
    func `a result comes with what was said around it, the names of that day, and the state`(_ store: TestStore)
        async throws
    {
        try await run(store) { scene in
            let (alice, bob) = (scene.alice, scene.bob)
            let room = try await alice.createRoom("12", ["name": "Here"])
            try await alice.set(
                "m.room.member", ["membership": "join", "displayname": "Al"], room, key: alice.user.text)
            try await bob.join(room, via: scene.server)
            for text in ["1", "2", "needle", "3", "4", "5"] { try await (text == "3" ? bob : alice).say(text, room) }
            try await alice.set(
                "m.room.member", ["membership": "join", "displayname": "Xa"], room, key: alice.user.text)
            let answer = try await scene.search(
                alice, "needle",
                [
                    "include_state": true,
                    "event_context": ["before_limit": 1, "after_limit": 2, "include_profile": true],
                ])
            let context = try #require(answer["results"]?.elements.first?["context"])
            func texts(_ key: String) -> [String?] {
                (context[key]?.elements ?? []).map { $0["content"]?["body"]?.string }
            }
            #expect(texts("events_before") == ["2"])
            #expect(texts("events_after") == ["3", "4"])
            #expect(context["profile_info"]?[alice.user.text]?["displayname"] == "Al")
            #expect(context["profile_info"]?[bob.user.text] != nil)
            let more = try await alice.ask(
                .get,
                "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=f&limit=1&from=\(context["end"]?.string ?? "")"
            )
            #expect(more["chunk"]?.elements.first?["content"]?["body"] == "5")
            let state = answer["state"]?[room.text]?.elements ?? []
            #expect(state.contains { $0["content"]?["displayname"] == "Xa" })
        }
    }

    @Test(arguments: TestStore.available)
    func `words of rooms that were there before are found, and all go when they are no longer kept`(_ store: TestStore)
        async throws
    {
        try await store.run { database, _ in
            let off = try await TestHomeserver("a.test", on: LoopNetwork(), database: database) {
                $0.search.indexPlaintext = false
            }
            let alice = try await off.register("alice")
            let room = try await alice.createRoom("12")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await off.instance.run() }
                try await alice.say("old words", room)
                await #expect(throws: MatrixError.self) {
                    try await alice.ask(
                        .post, "/_matrix/client/v3/search",
                        ["search_categories": ["room_events": ["search_term": "old"]]])
                }
                group.cancelAll()
            }
            #expect(try await database.read { try $0.query("SELECT 1 FROM search_queue") }.isEmpty)
            let on = try await TestHomeserver("a.test", on: LoopNetwork(), database: database)
            let client = TestHomeserver.Client(server: on, user: alice.user, token: alice.token)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await on.instance.run() }
                let scene = Scene(server: on, alice: client, bob: client)
                let found = try await scene.bodies(client, "old")
                #expect(found == ["old words"])
                group.cancelAll()
            }
            // Where content is sealed, no word of it may be left.
            let key = try #require(StorageSealer.Key(id: "k", bytes: SHA256.hash(Array("k".utf8))))
            let sealed = try await TestHomeserver(
                "a.test", on: LoopNetwork(), database: database,
                sealer: StorageSealer(keys: [key], random: SystemRandomSource()))
            let indexing = SearchIndexing(environment: sealed.environment, rooms: sealed.reader)
            #expect(await !indexing.begin())
            #expect(try await database.read { try $0.query("SELECT 1 FROM search_text") }.isEmpty)
        }
    }

    @Test func `in an upgraded room one finds what was said in the old one`() async throws {
        try await run(.sqlite) { scene in
            let old = try await scene.alice.createRoom("11")
            try await scene.alice.say("sputnik", old)
            let new = try await scene.alice.ask(
                .post, "/_matrix/client/v3/rooms/\(percent(old.text))/upgrade", ["new_version": "12"])
            let room = try #require(new["replacement_room"])
            try await scene.alice.say("sputnik two", try RoomID(room.string ?? ""))
            let filter: [String: JSONValue] = ["filter": ["rooms": [room]], "order_by": "recent"]
            #expect(try await scene.bodies(scene.alice, "sputnik", filter) == ["sputnik two", "sputnik"])
            let onlyOld: [String: JSONValue] = ["filter": ["rooms": [.string(old.text)]]]
            #expect(try await scene.bodies(scene.alice, "sputnik", onlyOld) == ["sputnik"])
        }
    }

    @Test(arguments: TestStore.available)
    func `what is asked wrongly is refused`(_ store: TestStore) async throws {
        try await run(store) { scene in
            let wrong: [JSONValue] = [
                [:], ["search_categories": 1], ["search_categories": ["room_events": [:]]],
                ["search_categories": ["room_events": ["search_term": 1]]],
                ["search_categories": ["room_events": ["search_term": "a", "keys": ["content.other"]]]],
                ["search_categories": ["room_events": ["search_term": "a", "order_by": "size"]]],
                ["search_categories": ["room_events": ["search_term": "a", "event_context": ["before_limit": -1]]]],
            ]
            for body in wrong {
                let error = await #expect(throws: MatrixError.self) {
                    try await scene.alice.ask(.post, "/_matrix/client/v3/search", body)
                }
                #expect(error?.status == 400, "\(body)")
            }
            let error = await #expect(throws: MatrixError.self) {
                try await scene.search(scene.alice, "a", next: "no-token")
            }
            #expect(error?.code == .invalidParameter)
            let none = try await scene.alice.ask(.post, "/_matrix/client/v3/search", ["search_categories": [:]])
            #expect(none == ["search_categories": [:]])
        }
    }
}
