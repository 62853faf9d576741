import Testing

@testable import MatrixModel

@Suite("Redaction") struct RedactionTests {
    @Test(arguments: EventVectors.list(EventVectors.redaction, "cases"))
    func `an event is redacted as published`(vector: JSONValue) throws {
        let event = try #require(vector["event"]).document
        let expected = try #require(vector["redacted"])
        for text in vector["room_versions"]?.elements ?? [] {
            let rules = try #require(text.string.flatMap { RoomVersion($0) }).rules
            #expect(Redaction.redact(event.root, rules: rules) == expected, "version \(text)")
            #expect(Redaction.canonicalJSON(of: event.root, rules: rules) == expected.serialized(), "version \(text)")
        }
    }

    @Test(arguments: RoomVersion.all) func `the kept keys are those of the published table`(version: RoomVersion) throws
    {
        let number = try #require(Int(version.text))
        func row(_ table: JSONValue?) throws -> JSONValue {
            let found = table?.members.first { range, _ in
                let bounds = range.split(separator: "-").compactMap { Int($0) }
                return bounds.first.map { $0 <= number && number <= bounds.last ?? $0 } ?? false
            }
            return try #require(found?.value)
        }
        let top = try row(EventVectors.redaction["top_level_keys_kept"]).elements.compactMap(\.string)
        #expect(version.rules.redaction.topLevelKeys == Set(top))
        for (type, table) in EventVectors.redaction["content_keys_kept"]?.members ?? [] where type.hasPrefix("m.") {
            let expected = try row(table)
            switch version.rules.redaction.content[type] {
            case .everything: #expect(expected == "all")
            case nil: #expect(expected.elements.isEmpty)
            case .keys(let keys):
                var listed = Set(expected.elements.compactMap(\.string))
                if expected == "as 1-10, and invite" {
                    listed = [
                        "ban", "events", "events_default", "invite", "kick", "redact", "state_default", "users",
                        "users_default",
                    ]
                }
                #expect(version.rules.redaction.keepsThirdPartyInviteSigned == (number >= 11))
                listed.remove("third_party_invite.signed")
                #expect(keys == listed, "\(type)")
            }
        }
    }

    @Test func `content that is no object, or missing, is emptied`() throws {
        for text in [#"{"type":"m.room.member","content":[1]}"#, #"{"type":"m.room.member"}"#] {
            let event = try JSONDocument(Array(text.utf8))
            let redacted = Redaction.canonicalJSON(of: event.root, rules: .v12)
            #expect(String(decoding: redacted, as: UTF8.self) == #"{"content":{},"type":"m.room.member"}"#)
        }
    }

    @Test func `a third-party invite without signed leaves an empty object`() throws {
        let text = #"{"content":{"third_party_invite":{"display_name":"x"}},"type":"m.room.member"}"#
        let redacted = Redaction.redact(try JSONDocument(Array(text.utf8)).root, rules: .v11)
        #expect(redacted["content"] == ["third_party_invite": [:]])
    }

    @Test func `content is written where it belongs, even as the last`() throws {
        let redacted = Redaction.canonicalJSON(
            of: try JSONDocument(Array(#"{"auth_events":[]}"#.utf8)).root, rules: .v12)
        #expect(String(decoding: redacted, as: UTF8.self) == #"{"auth_events":[],"content":{}}"#)
    }

    @Test func `only a membership keeps a third-party invite, and of that only what is signed`() throws {
        func content(_ type: String, _ content: JSONValue) throws -> JSONValue? {
            let event: JSONValue = ["type": .string(type), "content": content]
            let redacted = Redaction.redact(try event.document.root, rules: .v11)["content"]
            #expect(
                Redaction.canonicalJSON(of: try event.document.root, rules: .v11)
                    == JSONValue.object(["type": .string(type), "content": redacted ?? .null]).serialized())
            return redacted
        }
        let signed: JSONValue = ["signed": ["token": "t"], "display_name": "x"]
        #expect(
            try content("m.room.member", ["third_party_invite": signed])
                == ["third_party_invite": ["signed": ["token": "t"]]])
        #expect(try content("m.room.member", ["another": signed]) == [:])
        #expect(try content("m.room.member", ["third_party_invite": "x"]) == [:])
        #expect(try content("m.room.join_rules", ["third_party_invite": signed]) == [:])
    }
}
