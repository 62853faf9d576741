import MatrixModel
import MatrixRooms
import Testing

@Suite("Push rules judge events") struct PushedEventTests {
    let alice: UserID
    let bob: UserID
    let room: RoomID

    init() throws {
        alice = try UserID("@alice:example.org")
        bob = try UserID("@bob:example.org")
        room = try RoomID("!room:example.org")
    }

    func outcome(
        _ event: JSONValue, by ruleset: PushRuleset? = nil, members: Int = 3, mayNotify: Bool = true,
        followsThread: Bool? = nil
    ) throws -> PushOutcome? {
        let document = try JSONDocument(event.serialized())
        var pushed = PushedEvent(document.root, sender: bob, roomID: room, memberCount: members) {
            $0 == "room" && mayNotify
        }
        pushed.followsThread = followsThread
        return pushed.outcome(for: alice, by: ruleset ?? PushRuleset(user: alice))
    }

    func message(_ body: String, _ more: JSONValue = [:]) -> JSONValue {
        var content = more
        content["body"] = .string(body)
        if content["msgtype"] == nil { content["msgtype"] = "m.text" }
        return ["type": "m.room.message", "content": content]
    }

    /// Whether a rule with only this condition matches.
    func holds(_ condition: JSONValue, of event: JSONValue, members: Int = 3) throws -> Bool {
        var ruleset = PushRuleset(user: alice)
        try ruleset.put(PushRule(.override, id: "test", ["actions": ["notify"], "conditions": [condition]]))
        return try outcome(event, by: ruleset, members: members)?.ruleID == "test"
    }

    @Test func `a thread that is followed is told of in a muted room, another only where that is not switched off`()
        throws
    {
        let subscribed = ".io.element.msc4306.rule.subscribed_thread"
        let unsubscribed = ".io.element.msc4306.rule.unsubscribed_thread"
        var ruleset = PushRuleset(user: alice)
        try ruleset.put(PushRule(.room, id: room.text, ["actions": []]))
        #expect(try outcome(message("x"), by: ruleset, followsThread: true)?.ruleID == subscribed)
        #expect(try outcome(message("x"), by: ruleset, followsThread: true)?.notifies == true)
        #expect(try outcome(message("x"), by: ruleset, followsThread: false)?.ruleID == room.text)
        #expect(try outcome(message("x"), by: ruleset, followsThread: nil)?.ruleID == room.text)
        #expect(try outcome(message("x"), followsThread: false)?.ruleID == ".m.rule.message")
        try ruleset.remove(.room, room.text)
        try ruleset.setEnabled(.postcontent, unsubscribed, true)
        #expect(try outcome(message("x"), by: ruleset, followsThread: false)?.ruleID == unsubscribed)
        #expect(try outcome(message("x"), by: ruleset, followsThread: false)?.notifies == false)
        #expect(try outcome(message("x"), by: ruleset, followsThread: nil)?.ruleID == ".m.rule.message")
        // A mention comes first, and words that are watched for.
        let mention: JSONValue = ["m.mentions": ["user_ids": [.string(alice.text)]]]
        #expect(
            try outcome(message("x", mention), by: ruleset, followsThread: false)?.ruleID == ".m.rule.is_user_mention")
        try ruleset.put(PushRule(.content, id: "word", ["actions": ["notify"], "pattern": "x"]))
        #expect(try outcome(message("x"), by: ruleset, followsThread: false)?.ruleID == "word")
        let odd: JSONValue = ["kind": "io.element.msc4306.thread_subscription", "subscribed": "yes"]
        #expect(throws: PushRuleError.self) {
            try PushRule(.override, id: "odd", ["actions": ["notify"], "conditions": [odd]])
        }
    }

    @Test func `the default rules decide as the specification says`() throws {
        func rule(_ event: JSONValue, members: Int = 3, mayNotify: Bool = true) throws -> String? {
            try outcome(event, members: members, mayNotify: mayNotify)?.ruleID
        }
        #expect(try rule(message("hi")) == ".m.rule.message")
        #expect(try rule(message("hi"), members: 2) == ".m.rule.room_one_to_one")
        #expect(try rule(["type": "m.room.encrypted", "content": [:]]) == ".m.rule.encrypted")
        #expect(try rule(["type": "m.room.encrypted"], members: 2) == ".m.rule.encrypted_room_one_to_one")
        #expect(try rule(message("hi", ["msgtype": "m.notice"])) == ".m.rule.suppress_notices")
        #expect(try rule(["type": "m.call.invite"]) == ".m.rule.call")
        #expect(try rule(["type": "m.reaction"]) == ".m.rule.reaction")
        #expect(try rule(["type": "m.room.tombstone", "state_key": ""]) == ".m.rule.tombstone")
        #expect(try rule(["type": "m.room.tombstone"]) == nil)
        #expect(try rule(["type": "m.room.server_acl", "state_key": ""]) == ".m.rule.room.server_acl")
        #expect(try rule(["type": "org.example.other"]) == nil)
        #expect(try rule(message("* hi", ["m.relates_to": ["rel_type": "m.replace"]])) == ".m.rule.suppress_edits")

        let invite: JSONValue = [
            "type": "m.room.member", "state_key": "@alice:example.org", "content": ["membership": "invite"],
        ]
        #expect(try rule(invite) == ".m.rule.invite_for_me")
        var other = invite
        other["state_key"] = "@carol:example.org"
        #expect(try rule(other) == ".m.rule.member_event")

        let mention: JSONValue = ["m.mentions": ["user_ids": ["@alice:example.org"]]]
        #expect(try rule(message("hi", mention)) == ".m.rule.is_user_mention")
        #expect(try rule(message("hi", ["m.mentions": ["user_ids": ["@alice"]]])) == ".m.rule.message")
        #expect(try rule(message("hi", ["m.mentions": ["room": true]])) == ".m.rule.is_room_mention")
        #expect(try rule(message("hi", ["m.mentions": ["room": true]]), mayNotify: false) == ".m.rule.message")
        #expect(try rule(message("hi", ["m.mentions": ["room": "true"]])) == ".m.rule.message")
    }

    @Test func `outcomes tell what to notify of, and how`() throws {
        let mention = try outcome(message("hi", ["m.mentions": ["user_ids": ["@alice:example.org"]]]))
        #expect(mention?.notifies == true)
        #expect(mention?.highlights == true)
        #expect(mention?.sound == "default")
        #expect(mention?.tweaks == ["sound": "default", "highlight": true])
        let reaction = try outcome(["type": "m.reaction"])
        #expect(reaction?.notifies == false)
        #expect(reaction?.highlights == false)
    }

    @Test func `nobody is notified of what they sent, or with the master rule`() throws {
        let document = try JSONDocument(message("hi").serialized())
        var pushed = PushedEvent(document.root, sender: bob, roomID: room, memberCount: 2) { _ in true }
        #expect(pushed.outcome(for: bob, by: PushRuleset(user: bob)) == nil)
        #expect(pushed.outcome(for: alice, by: PushRuleset(user: alice))?.notifies == true)
        var silent = PushRuleset(user: alice)
        try silent.setEnabled(.override, ".m.rule.master", true)
        #expect(pushed.outcome(for: alice, by: silent)?.notifies == false)
    }

    @Test func `kinds are asked in their order`() throws {
        var ruleset = PushRuleset(user: alice)
        func decides() throws -> String? { try outcome(message("some cake"), by: ruleset)?.ruleID }
        try ruleset.put(PushRule(.underride, id: "under", ["actions": []]))
        #expect(try decides() == "under")
        try ruleset.put(PushRule(.sender, id: bob.text, ["actions": []]))
        #expect(try decides() == bob.text)
        try ruleset.put(PushRule(.room, id: room.text, ["actions": []]))
        #expect(try decides() == room.text)
        try ruleset.put(PushRule(.content, id: "cake", ["actions": [], "pattern": "c?ke"]))
        #expect(try decides() == "cake")
        try ruleset.put(PushRule(.override, id: "over", ["actions": []]))
        #expect(try decides() == "over")
        try ruleset.setEnabled(.override, "over", false)
        #expect(try decides() == "cake")
    }

    @Test func `event_match looks at the whole of a string, and at the words of a body`() throws {
        func match(_ key: String, _ pattern: JSONValue) -> JSONValue {
            ["kind": "event_match", "key": .string(key), "pattern": pattern]
        }
        let event = message(
            "An Example event", ["topic": "Lunch plans", "n": 5, "a.b": "x", "c\\d": "y", "e": ["f": "z"]])
        #expect(try holds(match("content.topic", "lunc?*"), of: event))
        #expect(try !holds(match("content.topic", "lunch"), of: event))
        #expect(try holds(match("content.body", "ex*ple"), of: event))
        #expect(try !holds(match("content.body", "xample"), of: event))
        #expect(try !holds(match("content.n", "*"), of: event))
        #expect(try !holds(match("content.none", "*"), of: event))
        #expect(try !holds(match("content", "*"), of: event))
        #expect(try holds(match("content.a\\.b", "x"), of: event))
        #expect(try !holds(match("content.a.b", "x"), of: event))
        #expect(try holds(match("content.c\\\\d", "y"), of: event))
        #expect(try holds(match("content.c\\d", "y"), of: event))
        #expect(try holds(match("content.e.f", "Z"), of: event))
        #expect(try holds(match("room_id", "!room:*"), of: event))
    }

    @Test func `properties are compared exactly`() throws {
        let event = message("x", ["t": true, "i": 1, "s": "1", "z": nil, "f": 1.5, "l": [1, "a", nil, [1], 1.5]])
        func property(_ key: String, _ value: JSONValue) throws -> Bool {
            try holds(["kind": "event_property_is", "key": .string("content." + key), "value": value], of: event)
        }
        func contains(_ key: String, _ value: JSONValue) throws -> Bool {
            try holds(["kind": "event_property_contains", "key": .string("content." + key), "value": value], of: event)
        }
        #expect(try property("t", true) && property("i", 1) && property("s", "1") && property("z", nil))
        #expect(try !property("t", 1) && !property("i", "1") && !property("s", 1) && !property("none", nil))
        #expect(try contains("l", 1) && contains("l", "a") && contains("l", nil))
        #expect(try !contains("l", "A") && !contains("l", true) && !contains("s", "1") && !contains("none", nil))
    }

    @Test(arguments: [
        ("3", true), ("==3", true), ("2", false), ("<3", false), ("<=3", true), (">3", false), (">=3", true),
        (">2", true), ("<4", true),
    ])
    func `members are counted`(_ comparison: String, _ expected: Bool) throws {
        let condition: JSONValue = ["kind": "room_member_count", "is": .string(comparison)]
        #expect(try holds(condition, of: message("x"), members: 3) == expected)
    }

    @Test(arguments: ["", "=", "= 3", "==", "-1", "1.0", "==>1", "99999999999999999999", "٣"])
    func `what is no count is refused`(_ text: String) { #expect(MemberCount(text) == nil) }

    @Test func `an unknown condition holds of nothing`() throws {
        #expect(try !holds(["kind": "org.example.moon"], of: message("x")))
        #expect(try !holds(["kind": "contains_display_name"], of: message("x")))
    }

    @Test func `paths are written as they are read`() throws {
        for (names, text) in [
            (["content", "m.relates_to"], "content.m\\.relates_to"), (["content", "m\\foo"], "content.m\\\\foo"),
            ([""], ""),
            (["a", "", "b"], "a..b"),
        ] {
            #expect(PropertyPath(names: names).text == text)
            #expect(PropertyPath(text).names == names)
        }
        #expect(PropertyPath("a\\xb").names == ["a\\xb"])
        #expect(PropertyPath("a\\").names == ["a\\"])
    }

    @Test func `a user's rules cannot occupy the server`() throws {
        var ruleset = PushRuleset(user: alice)
        let pattern = JSONValue.string(String(repeating: "*a", count: 250) + "b")
        for number in 0..<100 {
            try ruleset.put(PushRule(.content, id: "\(number)", ["actions": [], "pattern": pattern]))
        }
        try ruleset.put(PushRule(.room, id: room.text, ["actions": []]))
        let slow = message(String(repeating: "a", count: 60_000))
        #expect(try outcome(slow, by: ruleset)?.ruleID == room.text)
    }
}
