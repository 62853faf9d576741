import MatrixModel
import Testing

@Suite("PDU format") struct PDUFormatTests {
    private func parse(_ version: RoomVersion, _ change: (inout JSONValue) -> Void) throws -> PDU {
        try PDU(parsing: try TestEvents.altered(version, change), version: version)
    }

    @Test(arguments: RoomVersion.all) func `what was sealed parses to the same bytes`(version: RoomVersion) throws {
        let event = try TestEvents.message(version)
        let again = try PDU(parsing: event.canonicalJSON, version: version)
        #expect(again.canonicalJSON == event.canonicalJSON)
        #expect(again.id == event.id)
        #expect(again.prevEvents == event.prevEvents)
        let stored = try PDU(trusted: event.canonicalJSON, id: event.id, roomID: event.roomID, version: version)
        #expect(stored.canonicalJSON == event.canonicalJSON)
        #expect(stored.content["body"]?.string == "hello")
        #expect((event.document.root["event_id"] != nil) == version.rules.eventIDIsSent)
    }

    @Test(
        arguments: [
            "type", "sender", "content", "depth", "hashes", "signatures", "origin_server_ts", "auth_events",
            "prev_events", "room_id",
        ]
    ) func `a field that must be there is missed`(key: String) throws {
        for version in [RoomVersion.v1, .v4, .v12] {
            #expect(throws: MalformedEvent.self) { try parse(version) { $0[key] = nil } }
            #expect(throws: MalformedEvent.self) { try parse(version) { $0[key] = .bool(true) } }
        }
    }

    @Test func `versions 1 and 2 need an event id that names a server`() throws {
        #expect(throws: MalformedEvent.self) { try parse(.v2) { $0["event_id"] = nil } }
        #expect(throws: MalformedEvent.self) { try parse(.v2) { $0["event_id"] = "$opaque" } }
        #expect(try parse(.v2) { $0["event_id"] = "$opaque:two.test" }.id.text == "$opaque:two.test")
    }

    @Test func `versions 1 and 2 refer by pairs, the others by ids`() throws {
        let pair: JSONValue = [["$a:one.test", ["sha256": "x"]]]
        #expect(try parse(.v1) { $0["prev_events"] = pair }.prevEvents == [try EventID("$a:one.test")])
        #expect(throws: MalformedEvent.self) { try parse(.v1) { $0["prev_events"] = ["$a:one.test"] } }
        #expect(throws: MalformedEvent.self) { try parse(.v1) { $0["prev_events"] = [["$a:one.test"]] } }
        #expect(throws: MalformedEvent.self) { try parse(.v3) { $0["prev_events"] = pair } }
        #expect(throws: MalformedEvent.self) { try parse(.v3) { $0["auth_events"] = [7] } }
    }

    @Test func `there are at most 20 prev and 10 auth events`() throws {
        func ids(_ count: Int) -> JSONValue { .array((0..<count).map { .string("$\($0)") }) }
        #expect(try parse(.v10) { $0["prev_events"] = ids(20) }.prevEvents.count == 20)
        #expect(throws: MalformedEvent.self) { try parse(.v10) { $0["prev_events"] = ids(21) } }
        #expect(try parse(.v10) { $0["auth_events"] = ids(10) }.authEvents.count == 10)
        #expect(throws: MalformedEvent.self) { try parse(.v10) { $0["auth_events"] = ids(11) } }
    }

    @Test func `depth lies between 0 and the version's greatest integer`() throws {
        #expect(try parse(.v5) { $0["depth"] = .integer(.max) }.depth == .max)
        #expect(throws: MalformedEvent.self) { try parse(.v5) { $0["depth"] = -1 } }
        #expect(throws: MalformedEvent.self) { try parse(.v5) { $0["depth"] = "1" } }
        #expect(try parse(.v6) { $0["depth"] = 9_007_199_254_740_991 }.depth == 9_007_199_254_740_991)
        #expect(throws: MalformedEvent.self) { try parse(.v6) { $0["depth"] = 9_007_199_254_740_992 } }
    }

    @Test func `fields have at most 255 bytes, counted as bytes`() throws {
        let long = String(repeating: "é", count: 127) + "x"
        #expect(try parse(.v12) { $0["state_key"] = .string(long) }.stateKey == long)
        #expect(throws: MalformedEvent.self) { try parse(.v12) { $0["state_key"] = .string(long + "y") } }
        #expect(throws: MalformedEvent.self) { try parse(.v12) { $0["type"] = .string(long + "y") } }
        #expect(throws: MalformedEvent.self) { try parse(.v12) { $0["sender"] = .string("@" + long + ":one.test") } }
        #expect(throws: MalformedEvent.self) { try parse(.v12) { $0["state_key"] = .null } }
    }

    @Test func `an event has at most 65536 bytes`() throws {
        let bare = try parse(.v12) { $0["content"] = ["body": ""] }.canonicalJSON.count
        let room = 65_536 - bare
        let full = try parse(.v12) { $0["content"] = ["body": .string(String(repeating: "x", count: room))] }
        #expect(full.canonicalJSON.count == 65_536)
        let error = #expect(throws: MalformedEvent.self) {
            try parse(.v12) { $0["content"] = ["body": .string(String(repeating: "x", count: room + 1))] }
        }
        #expect(error?.kind == .tooLarge)
    }

    @Test func `from version 6 the JSON is canonical, before it is taken as it is`() throws {
        func text(_ version: RoomVersion, _ body: String) throws -> [UInt8] {
            let event = try TestEvents.altered(version) { $0["content"] = ["x": "HERE"] }
            return Array(String(decoding: event, as: UTF8.self).replacing(#""HERE""#, with: body).utf8)
        }
        for body in ["1.5", "9007199254740992", #"{"a":1,"a":2}"#] {
            #expect(throws: MalformedEvent.self) { try PDU(parsing: try text(.v6, body), version: .v6) }
            #expect(throws: Never.self) { try PDU(parsing: try text(.v5, body), version: .v5) }
        }
        let twice = try PDU(parsing: try text(.v5, #"{"a":1,"a":2}"#), version: .v5)
        #expect(twice.content["x"]?["a"]?.integer == 2)
        #expect(String(decoding: twice.canonicalJSON, as: UTF8.self).contains(#"{"x":{"a":2}}"#))
    }

    @Test func `blanks, order and escapes do not change an event`() throws {
        let event = try TestEvents.message(.v12)
        let text = String(decoding: event.canonicalJSON, as: UTF8.self)
            .replacing("hello", with: #"\u0068ello"#).replacing(",", with: " , ")
        #expect(try PDU(parsing: Array(text.utf8), version: .v12).canonicalJSON == event.canonicalJSON)
    }

    @Test func `what another server says under unsigned is not kept`() throws {
        let event = try parse(.v12) { $0["unsigned"] = ["age": 5, "prev_content": [:]] }
        #expect(event.unsigned == nil)
        #expect(event.id == (try TestEvents.message(.v12)).id)
    }

    @Test func `the create event of version 12 has no room id`() throws {
        var create = JSONValue(try TestEvents.create(.v12).document.root)
        create["room_id"] = "!room:one.test"
        #expect(throws: MalformedEvent.self) { try PDU(parsing: create.serialized(), version: .v12) }
        // A create event with a state key of its own is none.
        var other = JSONValue(try TestEvents.create(.v12).document.root)
        other["state_key"] = "x"
        #expect(throws: MalformedEvent.self) { try PDU(parsing: other.serialized(), version: .v12) }
    }

    @Test func `an event other than the one asked for is refused`() throws {
        let event = try TestEvents.message(.v12)
        #expect(throws: Never.self) { try PDU(parsing: event.canonicalJSON, version: .v12, knownID: event.id) }
        let other = try EventID("$other")
        #expect(throws: MalformedEvent.self) { try PDU(parsing: event.canonicalJSON, version: .v12, knownID: other) }
    }

    @Test(arguments: ["", "[]", "null", "{", #"{"type":"#, "\u{FEFF}{}", #"{"a":"\ud800"}"#, "{}{}"])
    func `rubbish is no event`(text: String) {
        for version in RoomVersion.all {
            #expect(throws: MalformedEvent.self) { try PDU(parsing: Array(text.utf8), version: version) }
        }
    }

    @Test func `deep nesting is refused`() throws {
        let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
        #expect(throws: MalformedEvent.self) { try PDU(parsing: Array(#"{"content":\#(deep)}"#.utf8), version: .v1) }
    }
}
