import MatrixModel
import Testing

@Suite("Sticky events") struct StickyEventTests {
    private func event(_ milliseconds: Int64?, timestamp: Int64 = 2_000) throws -> PDU {
        let create = try TestEvents.create(.v12)
        var draft = EventDraft(
            type: .message, sender: try UserID("@alice:one.test"), stateKey: nil, content: ["body": "x"],
            roomID: create.roomID)
        draft.stickyMilliseconds = milliseconds
        return try draft.seal(
            version: .v12, prev: [create.id], auth: [], depth: 2, timestamp: timestamp, server: try TestEvents.server(),
            keyID: TestEvents.keyID, key: try TestEvents.key())
    }

    private func altered(_ value: JSONValue) throws -> PDU {
        try PDU(parsing: try TestEvents.altered(.v12) { $0["msc4354_sticky"] = value }, version: .v12)
    }

    @Test func `an event says for how long it is sticky, to servers and to clients`() throws {
        let sticky = try event(60_000)
        #expect(JSONValue(sticky.document.root)["msc4354_sticky"] == ["duration_ms": 60_000])
        #expect(StickyEvent.milliseconds(of: sticky) == 60_000)
        #expect(ClientEvent.value(of: sticky, withRoomID: true)["msc4354_sticky"] == ["duration_ms": 60_000])
        let plain = try event(nil)
        #expect(StickyEvent.milliseconds(of: plain) == nil)
        #expect(ClientEvent.value(of: plain, withRoomID: true)["msc4354_sticky"] == nil)
    }

    @Test func `it is at most an hour, and what is no time makes it none`() throws {
        #expect(StickyEvent.milliseconds(of: try altered(["duration_ms": 0])) == 0)
        #expect(StickyEvent.milliseconds(of: try altered(["duration_ms": 3_600_000])) == 3_600_000)
        #expect(StickyEvent.milliseconds(of: try altered(["duration_ms": 3_600_001])) == 3_600_000)
        for wrong: JSONValue in [["duration_ms": -1], ["duration_ms": "60000"], [:], 60_000] {
            #expect(StickyEvent.milliseconds(of: try altered(wrong)) == nil)
        }
    }

    @Test func `it lasts from when it was sent, or from now where that is yet to come`() throws {
        let sticky = try event(60_000, timestamp: 100_000)
        #expect(StickyEvent.expiry(of: sticky, now: 130_000) == 160_000)
        #expect(StickyEvent.expiry(of: sticky, now: 90_000) == 150_000)
        #expect(StickyEvent.expiry(of: try event(nil), now: 0) == nil)
    }
}
