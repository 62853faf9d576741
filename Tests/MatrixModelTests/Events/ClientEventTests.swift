import MatrixModel
import Testing

@Suite("Client events") struct ClientEventTests {
    @Test func `a client sees the event without what is for servers`() throws {
        let event = try TestEvents.message(.v12)
        let value = ClientEvent.value(of: event, unsigned: [("age", 7)], withRoomID: true)
        #expect(
            value == [
                "content": ["body": "hello", "msgtype": "m.text"], "event_id": .string(event.id.text),
                "origin_server_ts": 2_000, "room_id": .string(event.roomID.text), "sender": "@alice:one.test",
                "type": "m.room.message", "unsigned": ["age": 7],
            ])
        #expect(ClientEvent.value(of: event, withRoomID: false)["room_id"] == nil)
        let state = try TestEvents.message(.v12, type: .topic, stateKey: "")
        #expect(ClientEvent.value(of: state, withRoomID: false)["state_key"] == "")
    }

    @Test(arguments: RoomVersion.all) func `a redaction names its target in both places`(version: RoomVersion) throws {
        let target = try EventID("$target:one.test")
        let event = try TestEvents.message(version, type: .redaction, content: ["reason": "spam"], redacts: target)
        #expect(event.redacts == target)
        let value = ClientEvent.value(of: event, withRoomID: true)
        #expect(value["redacts"]?.string == target.text)
        #expect(value["content"] == ["reason": "spam", "redacts": .string(target.text)])
    }

    @Test func `stripped state has four fields`() throws {
        var writer = JSONWriter()
        StrippedState.write(
            try TestEvents.message(.v12, type: .topic, stateKey: "", content: ["topic": "t"]), into: &writer)
        #expect(
            try JSONValue.parse(writer.bytes)
                == ["content": ["topic": "t"], "sender": "@alice:one.test", "state_key": "", "type": "m.room.topic"])
    }
}
