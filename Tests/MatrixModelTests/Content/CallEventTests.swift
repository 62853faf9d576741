import Cryptography
import MatrixModel
import Testing

@Suite("Events of calls") struct CallEventTests {
    private func base(_ more: JSONValue = [:]) -> JSONValue {
        var content: JSONValue = ["call_id": "c1", "version": "1", "party_id": "p1"]
        for (key, value) in more.members { content[key] = value }
        return content
    }

    private static let streams: JSONValue = [
        "camera": ["purpose": "m.usermedia", "audio_muted": true, "video_muted": false],
        "screen": ["purpose": "m.screenshare", "audio_muted": false, "video_muted": true],
    ]

    /// Of each type one with all fields, and one with no more than it must have.
    static let examples: [(String, JSONValue)] = [
        (
            "m.call.invite",
            [
                "offer": ["type": "offer", "sdp": "v=0"], "lifetime": 90_000, "invitee": "@b:c",
                "sdp_stream_metadata": streams,
            ]
        ),
        ("m.call.invite", ["offer": ["type": "offer", "sdp": "v=0"], "lifetime": 90_000]),
        (
            "m.call.candidates",
            [
                "candidates": [
                    ["candidate": "candidate:1", "sdpMid": "audio", "sdpMLineIndex": 0, "usernameFragment": "abcd"],
                    ["candidate": "candidate:2", "sdpMid": "video"], ["candidate": "candidate:3", "sdpMLineIndex": 1],
                    ["candidate": ""],
                ]
            ]
        ),
        ("m.call.candidates", ["candidates": []]),
        ("m.call.answer", ["answer": ["type": "answer", "sdp": "v=0"], "sdp_stream_metadata": streams]),
        ("m.call.answer", ["answer": ["type": "answer", "sdp": "v=0"]]),
        ("m.call.select_answer", ["selected_party_id": "p2"]),
        ("m.call.reject", [:]),
        ("m.call.hangup", ["reason": "ice_timeout"]),
        (
            "m.call.negotiate",
            [
                "description": ["type": "answer", "sdp": "v=0"], "lifetime": 10_000, "sdp_stream_metadata": streams,
            ]
        ),
        ("m.call.negotiate", ["description": ["type": "offer", "sdp": "v=0"], "lifetime": 10_000]),
        ("m.call.sdp_stream_metadata_changed", ["sdp_stream_metadata": streams]),
        ("m.call.sdp_stream_metadata_changed", ["sdp_stream_metadata": [:]]),
    ]

    @Test(arguments: examples)
    func `what is read is written again as it was`(type: String, more: JSONValue) throws {
        let event = try #require(try CallEvent(type: type, content: base(more)))
        #expect(event.type == type)
        #expect(event.content == base(more))
        let view = try JSONDocument(base(more).serialized()).root
        #expect(try CallEvent(type: type, content: view) == event)
    }

    @Test(arguments: examples)
    func `of version 0 the version is written again as the number, and no party`(type: String, more: JSONValue) throws {
        var content = base(more)
        content["version"] = 0
        let event = try #require(try CallEvent(type: type, content: content))
        content["party_id"] = Optional.none
        #expect(event.content == content)
        #expect(try CallEvent(type: type, content: content) == event)
    }

    @Test func `an event of ours is of version 1 and names its call and party`() throws {
        let offer = SessionDescription(.offer, sdp: "v=0")
        let invite = CallInvite(
            offer: offer, lifetimeMilliseconds: 60_000, invitee: try UserID("@b:c"),
            streams: ["s": StreamMetadata(.screenshare, audioMuted: true)])
        let event = CallEvent(.invite(invite), call: try CallID("c1"), party: try PartyID("p1"))
        #expect(
            event.content == [
                "call_id": "c1", "version": "1", "party_id": "p1", "offer": ["type": "offer", "sdp": "v=0"],
                "lifetime": 60_000, "invitee": "@b:c",
                "sdp_stream_metadata": ["s": ["purpose": "m.screenshare", "audio_muted": true, "video_muted": false]],
            ])
        #expect(try CallEvent(type: event.type, content: event.content) == event)
    }

    @Test(arguments: [
        ("m.call.invite", true), ("m.call.asserted_identity", true), ("org.matrix.call.asserted_identity", true),
        ("m.call", false), ("m.room.message", false), ("m.room.encrypted", false),
        ("org.matrix.room.preview_urls", false),
        ("org.example.m.call.invite", false), ("", false),
    ])
    func `types of calls are told by how they begin`(type: String, isOfCalls: Bool) {
        #expect(CallEvent.isCallType(type) == isOfCalls)
    }

    @Test(arguments: ["m.call.asserted_identity", "org.matrix.call.invite", "m.call.", "m.room.message"])
    func `a type that is no part of version 1 is not read`(type: String) throws {
        let all = Self.examples.reduce(into: base()) { all, example in
            for (key, value) in example.1.members { all[key] = value }
        }
        #expect(try CallEvent(type: type, content: all) == nil)
    }

    @Test(arguments: [
        ("m.call.invite", ["offer", "lifetime"]), ("m.call.candidates", ["candidates"]), ("m.call.answer", ["answer"]),
        ("m.call.select_answer", ["selected_party_id"]), ("m.call.reject", []), ("m.call.hangup", []),
        ("m.call.negotiate", ["description", "lifetime"]),
        ("m.call.sdp_stream_metadata_changed", ["sdp_stream_metadata"]),
    ])
    func `an event without a field that it must have is refused`(type: String, fields: [String]) throws {
        let example = try #require(Self.examples.first { $0.0 == type }?.1)
        for field in fields + ["call_id", "version", "party_id"] {
            var content = base(example)
            content[field] = Optional.none
            let error = #expect(throws: MalformedField.self, "\(field)") { try CallEvent(type: type, content: content) }
            #expect(error?.path == field)
        }
    }

    @Test(
        arguments: [
            ("m.call.invite", "offer", [nil, "v=0", [], ["type": "offer"], ["sdp": 0], ["type": "offer", "sdp": ""]]),
            ("m.call.invite", "lifetime", [nil, "90000", 1.5]),
            ("m.call.invite", "invitee", [nil, "", "b", "!b:c", 7, ["@b:c"]]),
            ("m.call.invite", "sdp_stream_metadata", [nil, "s", 7, [], [["purpose": "m.usermedia"]]]),
            ("m.call.candidates", "candidates", [nil, "candidate:1", ["candidate": "candidate:1", "sdpMid": "0"]]),
            ("m.call.answer", "answer", [nil, "v=0", [], ["type": "answer"], ["type": "answer", "sdp": ""]]),
            ("m.call.answer", "sdp_stream_metadata", [nil, []]),
            ("m.call.select_answer", "selected_party_id", [nil, "", "with space", 7]),
            (
                "m.call.negotiate", "description",
                [
                    nil, [], ["sdp": "v=0"], ["type": "rollback", "sdp": "v=0"], ["type": "pranswer", "sdp": "v=0"],
                    ["type": 0, "sdp": "v=0"], ["type": "offer"], ["type": "offer", "sdp": ""],
                ]
            ),
            ("m.call.negotiate", "lifetime", [nil, "10000", 1.5]),
            ("m.call.negotiate", "sdp_stream_metadata", [nil, []]),
            ("m.call.sdp_stream_metadata_changed", "sdp_stream_metadata", [nil, []]),
            ("m.call.reject", "call_id", [nil, "", "with space", 7]),
            ("m.call.reject", "party_id", [nil, "", "with space", 7]),
        ] as [(String, String, [JSONValue])])
    func `an event with a malformed field is refused`(type: String, field: String, values: [JSONValue]) throws {
        let example = try #require(Self.examples.first { $0.0 == type }?.1)
        for value in values {
            var content = base(example)
            content[field] = value
            #expect(throws: MalformedField.self, "\(value)") { try CallEvent(type: type, content: content) }
        }
    }

    @Test(arguments: [nil, "offer", "answer", "rollback", 7] as [JSONValue])
    func `the description of an invite is an offer, that of an answer an answer, whatever its type says`(
        type: JSONValue
    ) throws {
        let (typed, untyped): (JSONValue, JSONValue) = (["type": type, "sdp": "v=0"], ["sdp": "v=0"])
        for description in [typed, untyped] {
            let invite = try CallEvent(
                type: "m.call.invite", content: base(["offer": description, "lifetime": 90_000]))
            let answer = try CallEvent(type: "m.call.answer", content: base(["answer": description]))
            #expect(invite?.content["offer"] == ["type": "offer", "sdp": "v=0"])
            #expect(answer?.content["answer"] == ["type": "answer", "sdp": "v=0"])
        }
    }

    @Test(arguments: [
        (JSONValue.integer(0), true), ("1", false), (1, false), ("0", false), ("2.org.example", false), (nil, false),
        (0.5, false),
    ])
    func `every version but the number 0 counts as 1`(version: JSONValue, isZero: Bool) throws {
        let event = try #require(try CallEvent(type: "m.call.reject", content: base(["version": version])))
        #expect(event.isVersion0 == isZero)
        #expect((event.party == nil) == isZero, "a party of version 0 does not count")
    }

    @Test func `a hangup without a reason is the user's, one with an unknown reason an error`() throws {
        func reason(_ more: JSONValue) throws -> CallEvent.Body? {
            try CallEvent(type: "m.call.hangup", content: base(more))?.body
        }
        #expect(try reason([:]) == .hangup(.userHangup))
        #expect(try reason(["reason": "replaced"]) == .hangup(.unknownError))
        #expect(try reason(["reason": 7]) == .hangup(.unknownError))
        for each in CallHangupReason.allCases {
            #expect(try reason(["reason": .string(each.rawValue)]) == .hangup(each))
        }
    }

    @Test func `one malformed candidate leaves the others`() throws {
        let content = base([
            "candidates": [
                ["candidate": "candidate:1", "sdpMLineIndex": 1.0], ["candidate": "candidate:2"], 7,
                ["candidate": "candidate:3", "sdpMid": 0],
                ["candidate": "candidate:4", "sdpMid": nil, "sdpMLineIndex": 300],
                ["candidate": .string(String(repeating: "x", count: 2_000)), "sdpMid": "0"],
                ["candidate": "", "sdpMid": nil, "sdpMLineIndex": nil],
            ]
        ])
        guard case .candidates(let list) = try CallEvent(type: "m.call.candidates", content: content)?.body else {
            Issue.record("not read")
            return
        }
        #expect(list.map(\.candidate) == ["candidate:1", ""])
        #expect(list.first?.sdpMLineIndex == 1)
    }

    @Test func `streams of an unknown purpose are left out, and the old name is read`() throws {
        let content = base([
            "org.matrix.msc3077.sdp_stream_metadata": [
                "a": ["purpose": "m.usermedia"], "b": ["purpose": "org.example.hologram"], "c": 1, "d": [:],
                "e": ["purpose": 7],
            ]
        ])
        let event = try CallEvent(type: "org.matrix.call.sdp_stream_metadata_changed", content: content)
        #expect(event?.body == .streamMetadataChanged(["a": StreamMetadata(.usermedia)]))
        #expect(event?.type == "m.call.sdp_stream_metadata_changed")
        #expect(event?.content == base(["sdp_stream_metadata": ["a": Self.sent("m.usermedia", false, false)]]))
    }

    @Test func `where the streams stand under both names, the old one does not count`() throws {
        let content = base([
            "sdp_stream_metadata": ["new": ["purpose": "m.usermedia"]],
            "org.matrix.msc3077.sdp_stream_metadata": ["old": ["purpose": "m.usermedia"]],
        ])
        let event = try CallEvent(type: "m.call.sdp_stream_metadata_changed", content: content)
        #expect(event?.body == .streamMetadataChanged(["new": StreamMetadata(.usermedia)]))
    }

    private static func sent(_ purpose: String, _ audioMuted: Bool, _ videoMuted: Bool) -> JSONValue {
        ["purpose": .string(purpose), "audio_muted": .bool(audioMuted), "video_muted": .bool(videoMuted)]
    }

    @Test func `a stream is muted only where it says true`() throws {
        let streams = try [String: StreamMetadata](
            streams: [
                "audio": ["purpose": "m.usermedia", "audio_muted": true],
                "video": ["purpose": "m.screenshare", "video_muted": true],
                "neither": ["purpose": "m.usermedia", "audio_muted": "true", "video_muted": 1],
            ] as JSONValue)
        #expect(
            streams == [
                "audio": StreamMetadata(.usermedia, audioMuted: true),
                "video": StreamMetadata(.screenshare, videoMuted: true), "neither": StreamMetadata(.usermedia),
            ])
        #expect(
            streams.streamsJSON == [
                "audio": Self.sent("m.usermedia", true, false), "video": Self.sent("m.screenshare", false, true),
                "neither": Self.sent("m.usermedia", false, false),
            ])
    }

    @Test(arguments: [nil, false, 7, "s", [], [["purpose": "m.usermedia"]]] as [JSONValue])
    func `streams that are no object are refused`(streams: JSONValue) {
        #expect(throws: MalformedField.self) { try [String: StreamMetadata](streams: streams) }
    }

    @Test func `a description says what it is, and nothing of addresses`() throws {
        let candidate = try ICECandidate(
            ["candidate": "candidate:1 192.0.2.7", "sdpMid": "audio", "usernameFragment": "abcd"] as JSONValue)
        for text in ["\(candidate)", String(reflecting: candidate)] { #expect(text == "candidate …") }
        for text in ["\(ICECandidate.end)", String(reflecting: ICECandidate.end)] {
            #expect(text == "end of candidates")
        }
        for (kind, name) in [(SessionDescription.Kind.offer, "offer …"), (.answer, "answer …")] {
            let description = SessionDescription(kind, sdp: "c=IN IP4 192.0.2.7")
            for text in ["\(description)", String(reflecting: description)] { #expect(text == name) }
        }
    }

    /// Bytes 0, 1, 2 and so on.
    private struct Counting: RandomSource {
        func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0) } }
    }

    @Test func `new ids are random throughout: 18 bytes of a call, 12 of a party`() {
        #expect(CallID(random: Counting()).text == "AAECAwQFBgcICQoLDA0ODxAR")
        #expect(PartyID(random: Counting()).text == "AAECAwQFBgcICQoL")
    }

    @Test func `new ids keep to the grammar, and none is like another`() throws {
        let random = SystemRandomSource()
        let calls = (0..<100).map { _ in CallID(random: random) }
        let parties = (0..<100).map { _ in PartyID(random: random) }
        #expect(Set(calls).count == 100 && Set(parties).count == 100)
        for call in calls { #expect(try CallID(call.text) == call) }
        for party in parties { #expect(try PartyID(party.text) == party) }
    }

    @Test(arguments: ["", "with space", "ünicode", "a\u{0}b", "slash/", String(repeating: "x", count: 256)])
    func `ids of calls and parties keep to the grammar`(text: String) {
        #expect(throws: InvalidIdentifier.self) { try CallID(text) }
        #expect(throws: InvalidIdentifier.self) { try PartyID(text) }
    }

    @Test func `ids as other clients make them are taken`() throws {
        for text in ["1700000000000x4kLmNopQrStUvWx", "c1.2~3-4_5", "DEVICEID", String(repeating: "x", count: 255)] {
            #expect(try CallID(text).text == text)
            #expect(try PartyID(text).text == text)
        }
    }
}
