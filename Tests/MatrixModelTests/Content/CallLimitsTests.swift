import MatrixModel
import Testing

/// Each bound from both sides. The numbers stand here once more, so that none moves unnoticed.
@Suite("Limits of the events of calls") struct CallLimitsTests {
    private func isRead(_ type: String, _ more: JSONValue) -> Bool {
        var content: JSONValue = ["call_id": "c1", "version": "1", "party_id": "p1"]
        for (key, value) in more.members { content[key] = value }
        do { return try CallEvent(type: type, content: content) != nil } catch { return false }
    }

    private func isRead(candidate: JSONValue) -> Bool { (try? ICECandidate(candidate)) != nil }

    /// A text of so many bytes, and half as many characters.
    private func text(bytes: Int) -> JSONValue {
        .string(String(repeating: "é", count: bytes / 2) + String(repeating: "x", count: bytes % 2))
    }

    @Test(arguments: [(0, false), (1, true), (32_767, true), (32_768, true), (32_769, false)])
    func `an SDP has between one byte and 32768, whoever sends it`(bytes: Int, isTaken: Bool) {
        let (offer, answer): (JSONValue, JSONValue) = (
            ["type": "offer", "sdp": text(bytes: bytes)], ["type": "answer", "sdp": text(bytes: bytes)]
        )
        #expect(isRead("m.call.invite", ["offer": offer, "lifetime": 90_000]) == isTaken)
        #expect(isRead("m.call.answer", ["answer": answer]) == isTaken)
        #expect(isRead("m.call.negotiate", ["description": offer, "lifetime": 10_000]) == isTaken)
    }

    @Test(arguments: [(0, true), (1, true), (127, true), (128, true), (129, false)])
    func `an event has up to 128 candidates, those that are malformed included`(count: Int, isTaken: Bool) {
        let candidate: JSONValue = ["candidate": "candidate:1", "sdpMid": "audio"]
        for each in [candidate, 7] {
            let list = JSONValue.array(Array(repeating: each, count: count))
            #expect(isRead("m.call.candidates", ["candidates": list]) == isTaken)
        }
    }

    @Test(
        arguments: [(1, true), (1_023, true), (1_024, true), (1_025, false)],
        ["candidate", "sdpMid", "usernameFragment"])
    func `a candidate, its media and its session have up to 1024 bytes`(
        bound: (bytes: Int, isTaken: Bool), field: String
    ) {
        var candidate: JSONValue = ["candidate": "candidate:1", "sdpMid": "audio", "usernameFragment": "abcd"]
        candidate[field] = text(bytes: bound.bytes)
        #expect(isRead(candidate: candidate) == bound.isTaken)
    }

    @Test(
        arguments: [
            (-1, false), (-0.5, false), (0, true), (0.0, true), (0.5, false), (1, true), (255, true), (255.0, true),
            (255.5, false), (256, false), (1e300, false), ("0", false), (true, false), ([], false),
        ] as [(JSONValue, Bool)])
    func `the number of a media line is a whole one from 0 to 255`(index: JSONValue, isTaken: Bool) {
        #expect(isRead(candidate: ["candidate": "candidate:1", "sdpMLineIndex": index]) == isTaken)
        #expect(isRead(candidate: ["candidate": "candidate:1", "sdpMid": "audio", "sdpMLineIndex": index]) == isTaken)
    }

    @Test func `a candidate names its media by either field, the end of candidates need not`() {
        let (line, end): (JSONValue, JSONValue) = ("candidate:1", "")
        #expect(isRead(candidate: ["candidate": line, "sdpMid": "audio"]))
        #expect(isRead(candidate: ["candidate": line, "sdpMLineIndex": 0]))
        #expect(!isRead(candidate: ["candidate": line]))
        #expect(!isRead(candidate: ["candidate": line, "sdpMid": nil, "sdpMLineIndex": nil]))
        #expect(!isRead(candidate: ["candidate": line, "usernameFragment": "abcd"]))
        #expect(isRead(candidate: ["candidate": end]))
        #expect(isRead(candidate: ["candidate": end, "sdpMid": "audio", "sdpMLineIndex": 0]))
        #expect(!isRead(candidate: ["sdpMid": "audio"]), "the candidate itself is missing")
    }

    @Test func `fields of a candidate that are null count as missing, others of the wrong kind do not`() throws {
        let candidate = try ICECandidate(
            ["candidate": "candidate:1", "sdpMid": "audio", "sdpMLineIndex": nil, "usernameFragment": nil] as JSONValue)
        #expect(candidate.sdpMid == "audio" && candidate.sdpMLineIndex == nil && candidate.usernameFragment == nil)
        #expect(try ICECandidate(["candidate": "", "sdpMid": nil] as JSONValue) == .end)
        for field in ["candidate", "sdpMid", "usernameFragment"] {
            var malformed: JSONValue = ["candidate": "candidate:1", "sdpMid": "audio", "sdpMLineIndex": 0]
            malformed[field] = 7
            #expect(!isRead(candidate: malformed), "\(field)")
        }
    }

    private func streams(_ count: Int) -> JSONValue {
        let stream: JSONValue = ["purpose": "m.usermedia"]
        return .object(Dictionary(uniqueKeysWithValues: (0..<count).map { ("s\($0)", stream) }))
    }

    @Test(arguments: [(0, true), (1, true), (15, true), (16, true), (17, false)])
    func `a side has up to 16 streams`(count: Int, isTaken: Bool) throws {
        let streams = streams(count)
        #expect(isRead("m.call.sdp_stream_metadata_changed", ["sdp_stream_metadata": streams]) == isTaken)
        #expect(
            isRead("m.call.answer", ["answer": ["type": "answer", "sdp": "v=0"], "sdp_stream_metadata": streams])
                == isTaken)
        if isTaken { #expect(try [String: StreamMetadata](streams: streams).count == count) }
    }

    @Test(arguments: [(1, true), (254, true), (255, true), (256, false), (4_000, false)])
    func `a stream whose id has more than 255 bytes is left out`(bytes: Int, isTaken: Bool) throws {
        let id = try #require(text(bytes: bytes).string)
        let streams = try [String: StreamMetadata](
            streams: .object([id: ["purpose": "m.usermedia"], "other": ["purpose": "m.screenshare"]]) as JSONValue)
        #expect(streams["other"] == StreamMetadata(.screenshare), "the others stay")
        #expect((streams[id] != nil) == isTaken)
    }
}
