import MatrixModel
import Testing

@Suite("Event ids") struct EventIDTests {
    @Test(arguments: EventVectors.list(EventVectors.eventIDs, "events"))
    func `an event has the published id`(vector: JSONValue) throws {
        let bytes = try #require(vector["event"]).serialized()
        for text in vector["room_versions"]?.elements ?? [] {
            let version = try #require(text.string.flatMap { RoomVersion($0) })
            let event = try PDU(parsing: bytes, version: version)
            #expect(event.id.text == vector["event_id"]?.string, "version \(version)")
            #expect(try event.redacted().referenceHash == event.referenceHash)
        }
    }

    @Test func `a room of version 12 is named after its create event`() throws {
        let create = try TestEvents.create(.v12)
        #expect(create.roomID.text == "!" + create.id.text.dropFirst())
        #expect(EventID(createOf: create.roomID) == create.id)
        #expect(create.document.root["room_id"] == nil)
        #expect(EventID(createOf: try RoomID("!room:example.org")) == nil)
    }

    @Test func `the limits are the published ones`() {
        #expect(EventLimits.bytes == Int(EventVectors.eventIDs["max_pdu_bytes"]?.integer ?? 0))
        #expect(EventLimits.fieldBytes == Int(EventVectors.eventIDs["max_id_bytes"]?.integer ?? 0))
        #expect(EventLimits.prevEvents == Int(EventVectors.eventIDs["max_prev_events"]?.integer ?? 0))
        #expect(EventLimits.authEvents == Int(EventVectors.eventIDs["max_auth_events"]?.integer ?? 0))
    }
}
