import MatrixModel
import Testing

@testable import Homeserver

@Suite("The rules of a policy server") struct PolicyRulesTests {
    private func event(
        _ type: String, by sender: String = "@mallory:evil.test", stateKey: String? = nil, _ content: JSONValue
    ) throws -> PDU {
        let server = try HandmadeServer("evil.test", on: LoopNetwork())
        return try server.event(
            type, by: try UserID(sender), stateKey: stateKey, content, in: try RoomID("!r:evil.test"), version: .v11,
            after: [], auth: [])
    }

    private func refusing(_ configure: (inout HomeserverConfiguration.PolicyServer) -> Void) -> PolicyRules {
        var settings = HomeserverConfiguration.PolicyServer()
        configure(&settings)
        return PolicyRules(settings)
    }

    @Test func `without rules all is taken`() throws {
        let rules = PolicyRules(.init())
        #expect(rules.refusal(of: try event("m.room.message", ["body": "anything"])) == nil)
    }

    @Test(arguments: [
        (["evil.test"], true), (["*.test"], true), (["EVIL.test"], true), (["evil"], false), (["evil.test:1"], false),
    ]) func `servers are refused by patterns as in access lists`(_ patterns: [String], isRefused: Bool) throws {
        let rules = refusing { $0.refusedServers = patterns }
        let message = try event("m.room.message", by: "@mallory:evil.test:8448", ["body": "x"])
        #expect((rules.refusal(of: message) != nil) == isRefused)
    }

    @Test func `users and types are refused by patterns`() throws {
        let users = refusing { $0.refusedUsers = ["@spam*:*", "@mallory:evil.test"] }
        #expect(users.refusal(of: try event("m.room.message", ["body": "x"])) != nil)
        #expect(users.refusal(of: try event("m.room.message", by: "@spam9:a.test", ["body": "x"])) != nil)
        #expect(users.refusal(of: try event("m.room.message", by: "@mallory2:evil.test", ["body": "x"])) == nil)
        let types = refusing { $0.refusedEventTypes = ["m.sticker", "org.example.*"] }
        #expect(types.refusal(of: try event("m.sticker", [:])) != nil)
        #expect(types.refusal(of: try event("org.example.x", stateKey: "", [:])) != nil)
        #expect(types.refusal(of: try event("m.room.message", ["body": "m.sticker"])) == nil)
    }

    @Test func `nobody is kept in a room`() throws {
        let rules = refusing {
            $0.refusedServers = ["*"]
            $0.refusedEventTypes = ["*"]
        }
        func member(_ membership: String, _ user: String) throws -> PDU {
            try event("m.room.member", stateKey: user, ["membership": .string(membership)])
        }
        #expect(rules.refusal(of: try member("leave", "@mallory:evil.test")) == nil)
        #expect(rules.refusal(of: try member("leave", "@alice:evil.test")) != nil)
        #expect(rules.refusal(of: try member("join", "@mallory:evil.test")) != nil)
    }

    @Test(
        arguments: [
            (["body": "Cheap SPAM!"], true), (["body": "spammer"], false), (["body": "the spám"], true),
            (["body": "Buy… now, please"], true), (["body": "buy it now"], false), (["body": "now buy"], false),
            (["body": "* fine", "m.new_content": ["body": "spam"]], true),
            (["body": "fine", "formatted_body": "<b>spam</b>"], true),
            (["m.poll": ["answers": [["m.text": "spam"]]]], true),
            (["body": "fine", "m.mentions": ["user_ids": ["@spam:a.test"]]], false),
            (["body": ["spam"], "url": "mxc://a.test/spam"], false),
        ] as [(JSONValue, Bool)]) func `words are refused where people read them`(_ content: JSONValue, isRefused: Bool)
        throws
    {
        let rules = refusing { $0.refusedWords = ["Spam", "buy NOW", "!"] }
        #expect((rules.refusal(of: try event("m.room.message", content)) != nil) == isRefused)
    }

    @Test func `the largest event is the largest`() throws {
        let small = try event("m.room.message", ["body": .string(String(repeating: "a", count: 3_000))])
        let bytes = Int64(small.canonicalJSON.count - (small.signatures?.rawBytes.count ?? 0))
        #expect(refusing { $0.largestEventBytes = bytes }.refusal(of: small) == nil)
        #expect(refusing { $0.largestEventBytes = bytes - 1 }.refusal(of: small) != nil)
    }

    @Test func `a text of nothing but beginnings of phrases takes no time`() throws {
        let text = String(repeating: "a ", count: 30_000)
        let rules = refusing { $0.refusedWords = (0..<10_000).map { "a a a a a a a b\($0)" } }
        let long = try event("m.room.message", ["body": .string(text)])
        let time = ContinuousClock().measure { #expect(rules.refusal(of: long) == nil) }
        #expect(time < .seconds(10))
    }

    @Test func `what moderators do by the hundred is not counted`() throws {
        func counts(_ type: String, stateKey: String? = nil, _ content: JSONValue = [:]) throws -> Bool {
            PolicyRules.isCounted(try event(type, stateKey: stateKey, content))
        }
        #expect(try counts("m.room.message") && counts("m.reaction") && counts("m.room.encrypted"))
        #expect(try counts("m.room.member", stateKey: "@mallory:evil.test", ["membership": "join"]))
        #expect(try !counts("m.room.member", stateKey: "@mallory:evil.test", ["membership": "leave"]))
        #expect(try !counts("m.room.member", stateKey: "@x:evil.test", ["membership": "ban"]))
        #expect(try !counts("m.room.redaction", ["redacts": "$x"]) && !counts("m.room.topic", stateKey: ""))
    }
}
