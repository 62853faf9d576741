import Cryptography
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@Suite("Account data") struct AccountDataTests {
    private let base = "/_matrix/client/v3/user/@alice:a.test"
    private let room = "%21room:a.test"

    @Test func `data is kept globally and per room, and takes positions`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        #expect(try await server.call(.get, "\(base)/account_data/x", token: token).errcode == "M_NOT_FOUND")
        #expect(try await server.call(.put, "\(base)/account_data/x", token: token, ["a": 1]).status == 200)
        let inRoom = "\(base)/rooms/\(room)/account_data/x"
        #expect(try await server.call(.put, inRoom, token: token, ["b": 2]).status == 200)
        #expect(try await server.call(.get, "\(base)/account_data/x", token: token).body == ["a": 1])
        #expect(try await server.call(.get, inRoom, token: token).body == ["b": 2])
        let bob = try await server.register("bob")
        #expect(try await server.call(.get, inRoom, token: bob).status == 403)
        let alice = try UserID("@alice:a.test")
        let (all, changes) = try await server.environment.database.read { connection in
            let store = AccountDataStore(connection, .plain)
            return (try store.all(alice), try store.changes(alice, after: 1, upTo: 2))
        }
        #expect(all.map(\.type) == ["x", "x", "m.push_rules"])
        #expect(changes.map { $0.room?.text } == ["!room:a.test"])
    }

    @Test(arguments: ["m.push_rules", "m.fully_read"])
    func `what the server keeps cannot be written`(type: String) async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        for path in ["\(base)/account_data/\(type)", "\(base)/rooms/\(room)/account_data/\(type)"] {
            let answer = try await server.call(.put, path, token: token, [:])
            #expect(answer.status == 405)
            #expect(answer.errcode == "M_BAD_JSON")
        }
    }

    @Test func `tags are one piece of the room's data`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let tags = "\(base)/rooms/\(room)/tags"
        #expect(try await server.call(.get, tags, token: token).body == ["tags": [:]])
        #expect(try await server.call(.put, "\(tags)/u.one", token: token, ["order": 0.5]).status == 200)
        #expect(try await server.call(.put, "\(tags)/m.favourite", token: token, [:]).status == 200)
        #expect(try await server.call(.put, "\(tags)/bad", token: token, ["order": "x"]).status == 400)
        #expect(try await server.call(.delete, "\(tags)/m.favourite", token: token).status == 200)
        let expected: JSONValue = ["tags": ["u.one": ["order": 0.5]]]
        #expect(try await server.call(.get, tags, token: token).body == expected)
        let data = try await server.call(.get, "\(base)/rooms/\(room)/account_data/m.tag", token: token)
        #expect(data.body == expected)
    }

    @Test func `filters are kept once and found again`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let filter: JSONValue = ["room": ["timeline": ["limit": 5]]]
        let first = try await server.call(.post, "\(base)/filter", token: token, filter)
        let second = try await server.call(.post, "\(base)/filter", token: token, filter)
        #expect(first["filter_id"] == "0")
        #expect(second["filter_id"] == "0")
        #expect(try await server.call(.get, "\(base)/filter/0", token: token).body == filter)
        #expect(try await server.call(.get, "\(base)/filter/1", token: token).status == 404)
        #expect(try await server.call(.get, "\(base)/filter/x", token: token).status == 404)
    }

    @Test(
        arguments: [
            ["presence": "none"], ["event_format": "other"], ["event_fields": [1]], ["room": ["rooms": ["x"]]],
            ["room": ["timeline": ["limit": -1]]], ["room": ["timeline": ["senders": ["x"]]]],
            ["room": ["state": ["types": "x"]]],
        ] as [JSONValue])
    func `a filter of the wrong form is refused`(filter: JSONValue) async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        #expect(try await server.call(.post, "\(base)/filter", token: token, filter).status == 400)
    }

    @Test func `push rules are there, changed and told as account data`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let rules = "/_matrix/client/v3/pushrules"
        let all = try await server.call(.get, "\(rules)/", token: token)
        #expect(all.body["global", "override"]?.elements.first?["rule_id"] == ".m.rule.master")
        let own = "\(rules)/global/content/mine"
        let put = try await server.call(.put, own, token: token, ["pattern": "cake", "actions": ["notify"]])
        #expect(put.status == 200)
        #expect(try await server.call(.get, own, token: token)["pattern"] == "cake")
        #expect(try await server.call(.put, "\(own)/enabled", token: token, ["enabled": false]).status == 200)
        #expect(try await server.call(.get, "\(own)/enabled", token: token).body == ["enabled": false])
        #expect(try await server.call(.put, "\(own)/actions", token: token, ["actions": []]).status == 200)
        #expect(try await server.call(.get, "\(own)/actions", token: token).body == ["actions": []])
        let data = try await server.call(.get, "\(base)/account_data/m.push_rules", token: token)
        #expect(data.body["global", "content"]?.elements.first?["rule_id"] == "mine")
        #expect(try await server.call(.delete, own, token: token).status == 200)
        #expect(try await server.call(.get, own, token: token).errcode == "M_NOT_FOUND")
        #expect(try await server.call(.get, "\(rules)/global/odd/x", token: token).status == 400)
        let builtIn = "\(rules)/global/override/.m.rule.master"
        #expect(try await server.call(.delete, builtIn, token: token).status == 400)
    }

    @Test func `with a key the content is sealed, each user's for that user`() async throws {
        let key = try #require(StorageSealer.Key(id: "k", bytes: Array(repeating: 7, count: 32)))
        let server = try await AccountServer()
        let sealer = StorageSealer(keys: [key], random: SystemRandomSource())
        let alice = try UserID("@alice:a.test")
        let stored = try await server.environment.database.write { connection in
            try AccountDataStore(connection, sealer).set("x", Array("{\"secret\":1}".utf8), of: alice)
            return try connection.query("SELECT content FROM account_data").map { try $0.bytes(0) }
        }
        #expect(stored.count == 1)
        #expect(stored.allSatisfy { !String(decoding: $0, as: UTF8.self).contains("secret") })
        let opened = try await server.environment.database.read { connection in
            try AccountDataStore(connection, sealer).content("x", of: alice)
        }
        #expect(opened == Array("{\"secret\":1}".utf8))
    }
}
