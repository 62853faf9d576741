import Foundation
import MatrixModel
import MatrixRooms
import Testing

@Suite("Push rulesets") struct PushRulesetTests {
    let alice: UserID
    var ruleset: PushRuleset

    init() throws {
        alice = try UserID("@alice:example.org")
        ruleset = PushRuleset(user: alice)
    }

    mutating func put(
        _ kind: PushRule.Kind, _ id: String, _ json: JSONValue = ["actions": ["notify"], "pattern": "x"],
        before: String? = nil, after: String? = nil
    ) throws(PushRuleError) {
        try ruleset.put(try PushRule(kind, id: id, json), before: before, after: after)
    }

    func own(_ kind: PushRule.Kind) -> [String] { ruleset.rules(of: kind).filter { !$0.isDefault }.map(\.id) }

    @Test func `a new user has the specification's fifteen rules`() throws {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let file = try Data(contentsOf: package.appending(path: "spec/vectors/push-rules/push-rules.json"))
        let text = String(decoding: file, as: UTF8.self).replacing("[the user's Matrix ID]", with: alice.text)
        let vectors = try JSONValue.parse(Array(text.utf8))

        var global = ruleset.global
        let threads = global["postcontent"]
        global["postcontent"] = nil
        let encrypted = global["override"]?.elements.first { $0["rule_id"] == ".org.matrix.msc4028.encrypted_event" }
        #expect(encrypted?["enabled"] == false)
        global["override"] = .array((global["override"]?.elements ?? []).filter { $0 != encrypted })
        #expect(global == vectors["global"])
        #expect(ruleset.rules.count { $0.id.hasPrefix(".m.rule.") } == 15)
        // And those of thread subscriptions, of which the one that silences is off.
        #expect(
            threads?.elements.map { $0["rule_id"] } == [
                ".io.element.msc4306.rule.unsubscribed_thread", ".io.element.msc4306.rule.subscribed_thread",
            ])
        #expect(threads?.elements.map { $0["enabled"] } == [false, true])
        #expect(ruleset.rules.first?.id == ".m.rule.master")
    }

    @Test mutating func `a user's rules come first in their kind, except before the master rule`() throws {
        try put(.override, "one")
        try put(.override, "two")
        try put(.underride, "three")
        #expect(
            ruleset.rules(of: .override).prefix(4).map(\.id) == [
                ".m.rule.master", "two", "one", ".org.matrix.msc4028.encrypted_event",
            ])
        #expect(ruleset.rules(of: .underride).first?.id == "three")
        #expect(ruleset.rules.map(\.kind).last == .underride)
    }

    @Test func `nobody adds rules about threads, but they can be switched`() throws {
        let id = ".io.element.msc4306.rule.unsubscribed_thread"
        #expect(throws: PushRuleError.self) {
            try PushRule(.postcontent, id: "mine", ["actions": ["notify"], "conditions": []])
        }
        var changed = ruleset
        try changed.setEnabled(.postcontent, id, true)
        #expect(PushRuleset(user: alice, content: changed.content) == changed)
        #expect(changed.rule(.postcontent, id)?.isEnabled == true)
        #expect(throws: PushRuleError.self) { try changed.remove(.postcontent, id) }
        var stored = ruleset.content
        stored["global"] = ["postcontent": [["rule_id": "mine", "actions": ["notify"], "conditions": []]]]
        #expect(PushRuleset(user: alice, content: stored) == ruleset)
    }

    @Test mutating func `rules stand before and after others`() throws {
        try put(.content, "a")
        try put(.content, "b", after: "a")
        try put(.content, "c", before: "b")
        try put(.content, "d", before: "a", after: "b")
        #expect(own(.content) == ["d", "a", "c", "b"])
        try put(.content, "d", after: "c")
        #expect(own(.content) == ["a", "c", "d", "b"])
        try put(.content, "c", ["actions": [], "pattern": "new"])
        #expect(own(.content) == ["a", "c", "d", "b"])
        #expect(ruleset.rule(.content, "c")?.pattern == "new")
    }

    @Test mutating func `an anchor must be a rule of the user and of the kind`() throws {
        try put(.content, "a")
        let before = ruleset
        #expect(throws: PushRuleError.anchorNotFound("none")) { try put(.content, "b", before: "none") }
        #expect(throws: PushRuleError.anchorNotFound("a")) { try put(.override, "b", after: "a") }
        #expect(throws: PushRuleError.anchorNotFound(".m.rule.message")) {
            try put(.underride, "b", after: ".m.rule.message")
        }
        #expect(throws: PushRuleError.anchorNotFound("a")) { try put(.content, "a", after: "a") }
        #expect(ruleset == before)
    }

    @Test mutating func `a rule is enabled when made, and stays disabled when replaced`() throws {
        try put(.sender, "@bob:example.org")
        #expect(ruleset.rule(.sender, "@bob:example.org")?.isEnabled == true)
        try ruleset.setEnabled(.sender, "@bob:example.org", false)
        try put(.sender, "@bob:example.org", ["actions": []])
        #expect(ruleset.rule(.sender, "@bob:example.org")?.isEnabled == false)
        try ruleset.remove(.sender, "@bob:example.org")
        try put(.sender, "@bob:example.org")
        #expect(ruleset.rule(.sender, "@bob:example.org")?.isEnabled == true)
    }

    @Test mutating func `the specification's rules can be changed, not deleted`() throws {
        try ruleset.setEnabled(.override, ".m.rule.master", true)
        try ruleset.setActions(.underride, ".m.rule.message", ["notify", ["set_tweak": "sound", "value": "x"]])
        #expect(ruleset.rule(.override, ".m.rule.master")?.isEnabled == true)
        #expect(ruleset.rule(.underride, ".m.rule.message")?.actions == [.notify, .sound("x")])
        #expect(throws: PushRuleError.invalid("the specification's rules cannot be deleted")) {
            try ruleset.remove(.underride, ".m.rule.message")
        }
    }

    @Test mutating func `what is not there cannot be changed`() throws {
        try put(.content, "a")
        #expect(throws: PushRuleError.notFound) { try ruleset.remove(.override, "a") }
        #expect(throws: PushRuleError.notFound) { try ruleset.setEnabled(.override, "a", true) }
        #expect(throws: PushRuleError.notFound) { try ruleset.setActions(.override, "a", []) }
    }

    @Test(
        arguments: [
            (.content, "", ["actions": [], "pattern": "x"]), (.content, ".m", ["actions": [], "pattern": "x"]),
            (.content, "a/b", ["actions": [], "pattern": "x"]), (.content, "a\\b", ["actions": [], "pattern": "x"]),
            (.content, "a", ["actions": []]), (.content, "a", ["pattern": "x"]), (.content, "a", [:]),
            (.room, "!a:b", nil),
            (.content, "a", ["actions": "notify", "pattern": "x"]), (.room, "!a:b", ["actions": ["shout"]]),
            (.room, "!a:b", ["actions": [5]]), (.override, "a", ["actions": [], "conditions": [:]]),
            (.override, "a", ["actions": [], "conditions": [[:]]]),
            (.override, "a", ["actions": [], "conditions": [["kind": "event_match", "key": "type"]]]),
            (.override, "a", ["actions": [], "conditions": [["kind": "event_property_is", "key": "a", "value": []]]]),
            (.override, "a", ["actions": [], "conditions": [["kind": "room_member_count", "is": "many"]]]),
        ] as [(PushRule.Kind, String, JSONValue)])
    func `a malformed rule is refused`(_ kind: PushRule.Kind, _ id: String, _ json: JSONValue) {
        #expect(throws: PushRuleError.self) { try PushRule(kind, id: id, json) }
    }

    @Test func `a rule is as large as its limits, not larger`() throws {
        let long = JSONValue.string(String(repeating: "a", count: 513))
        #expect(throws: PushRuleError.self) { try PushRule(.content, id: "a", ["actions": [], "pattern": long]) }
        let match: JSONValue = ["kind": "event_match", "key": "type", "pattern": "x"]
        let most = JSONValue.array(Array(repeating: match, count: PushRuleLimits.conditions))
        #expect(try PushRule(.override, id: "a", ["actions": [], "conditions": most]).conditions.count == 50)
        let more = JSONValue.array(most.elements + [match])
        #expect(throws: PushRuleError.self) { try PushRule(.override, id: "a", ["actions": [], "conditions": more]) }
    }

    @Test mutating func `historical actions are stripped, unknown conditions kept`() throws {
        let unknown: JSONValue = ["kind": "org.example.moon", "phase": "full"]
        try put(.override, "a", ["actions": ["dont_notify", "notify", "coalesce"], "conditions": [unknown]])
        #expect(
            ruleset.rule(.override, "a")?.json == [
                "rule_id": "a", "default": false, "enabled": true, "actions": ["notify"], "conditions": [unknown],
            ])
    }

    @Test mutating func `what is stored is what is read`() throws {
        try put(.override, "a", ["actions": [], "conditions": [["kind": "room_member_count", "is": ">=5"]]])
        try put(.content, "b")
        try put(.content, "c")
        try put(.room, "!room:example.org")
        try ruleset.setEnabled(.content, "b", false)
        try ruleset.setEnabled(.override, ".m.rule.master", true)
        try ruleset.setActions(.underride, ".m.rule.call", [])
        #expect(PushRuleset(user: alice, content: ruleset.content) == ruleset)
        #expect(PushRuleset(user: alice, content: try .parse(ruleset.content.serialized())) == ruleset)
    }

    @Test func `what is stored wrongly does no harm`() {
        for content: JSONValue in [nil, [], [:], ["global": 5], ["global": ["override": "x", "content": [5, [:]]]]] {
            #expect(PushRuleset(user: alice, content: content) == ruleset)
        }
        let odd: JSONValue = [
            "global": ["override": [["rule_id": ".org.example.old", "default": true, "actions": []]]]
        ]
        #expect(PushRuleset(user: alice, content: odd) == ruleset)
    }
}
