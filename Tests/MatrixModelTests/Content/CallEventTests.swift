import MatrixModel
import Testing

@Suite("Events of calls") struct CallEventTests {
    private func base(_ more: JSONValue = [:]) -> JSONValue {
        var content: JSONValue = ["call_id": "c1", "version": "1", "party_id": "p1"]
        for (key, value) in more.members { content[key] = value }
        return content
    }

    static let examples: [(String, JSONValue)] = [
        ("m.call.invite", ["offer": ["type": "offer", "sdp": "v=0"], "lifetime": 90_000, "invitee": "@b:c"]),
        (
            "m.call.candidates",
            [
                "candidates": [
                    ["candidate": "candidate:1", "sdpMid": "audio", "sdpMLineIndex": 0, "usernameFragment": "abcd"],
                    ["candidate": ""],
                ]
            ]
        ),
        (
            "m.call.answer",
            [
                "answer": ["type": "answer", "sdp": "v=0"],
                "sdp_stream_metadata": ["s": ["purpose": "m.usermedia", "audio_muted": true, "video_muted": false]],
            ]
        ),
        ("m.call.select_answer", ["selected_party_id": "p2"]),
        ("m.call.reject", [:]),
        ("m.call.hangup", ["reason": "ice_timeout"]),
        ("m.call.negotiate", ["description": ["type": "answer", "sdp": "v=0"], "lifetime": 10_000]),
        (
            "m.call.sdp_stream_metadata_changed",
            ["sdp_stream_metadata": ["s": ["purpose": "m.screenshare", "audio_muted": false, "video_muted": true]]]
        ),
    ]

    @Test(arguments: examples)
    func `what is read is written again as it was`(type: String, more: JSONValue) throws {
        let event = try #require(try CallEvent(type: type, content: base(more)))
        #expect(event.type == type)
        #expect(event.content == base(more))
        let view = try JSONDocument(base(more).serialized()).root
        #expect(try CallEvent(type: type, content: view) == event)
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
                "a": ["purpose": "m.usermedia"], "b": ["purpose": "org.example.hologram"], "c": 1,
            ]
        ])
        let event = try CallEvent(type: "org.matrix.call.sdp_stream_metadata_changed", content: content)
        #expect(event?.body == .streamMetadataChanged(["a": StreamMetadata(.usermedia)]))
    }

    @Test(arguments: ["", "with space", "ünicode", "a\u{0}b", "slash/", String(repeating: "x", count: 256)])
    func `ids of calls and parties keep to the grammar`(text: String) {
        #expect(throws: InvalidIdentifier.self) { try CallID(text) }
        #expect(throws: InvalidIdentifier.self) { try PartyID(text) }
    }

    @Test func `ids as other clients make them are taken`() throws {
        for text in ["1700000000000x4kLmNopQrStUvWx", "c1.2~3-4_5", "DEVICEID", String(repeating: "x", count: 255)] {
            #expect(try CallID(text).text == text)
        }
    }

    @Test func `too many streams are refused`() throws {
        let streams = Dictionary(
            uniqueKeysWithValues: (0..<17).map { ("s\($0)", ["purpose": "m.usermedia"] as JSONValue) })
        #expect(throws: MalformedField.self) {
            try CallEvent(
                type: "m.call.sdp_stream_metadata_changed", content: base(["sdp_stream_metadata": .object(streams)]))
        }
    }
}
