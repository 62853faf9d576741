import Cryptography
import Testing

@testable import MatrixModel

/// What no honest event needs, and a rule all the same: each of these holds one condition that nothing else does.
@Suite("Edges of events") struct EventEdgeTests {
    private func parse(_ version: RoomVersion, _ change: (inout JSONValue) -> Void) throws -> PDU {
        try PDU(parsing: try TestEvents.altered(version, change), version: version)
    }

    @Test func `clients are told of nothing unsigned where there is nothing`() throws {
        #expect(ClientEvent.value(of: try TestEvents.message(.v12), withRoomID: true)["unsigned"] == nil)
    }

    @Test func `only a redaction's content is written anew for clients`() throws {
        // Not a redaction, whatever it says.
        let message = try parse(.v10) { $0["redacts"] = "$x" }
        #expect(ClientEvent.value(of: message, withRoomID: true)["content"] == ["body": "hello", "msgtype": "m.text"])
        #expect(ClientEvent.value(of: message, withRoomID: true)["redacts"] == nil)
        // From version 11 the content says it by itself, in its place.
        let content: JSONValue = ["redacts": "$x", "z": 1]
        let new = try parse(.v11) { event in
            event["type"] = "m.room.redaction"
            event["content"] = content
        }
        var writer = JSONWriter()
        ClientEvent.write(new, into: &writer, withRoomID: false)
        #expect(text(writer.bytes).contains(#""content":{"redacts":"$x","z":1}"#))
        // What the content of an old one says beside the event counts for nothing.
        let old = try parse(.v10) { event in
            event["type"] = "m.room.redaction"
            event["redacts"] = "$x"
            event["content"] = ["redacts": "$other"]
        }
        writer = JSONWriter()
        ClientEvent.write(old, into: &writer, withRoomID: false)
        #expect(text(writer.bytes).contains(#""content":{"redacts":"$x"}"#))
    }

    @Test func `a draft writes room ids and references as its version has them`() throws {
        let server = try TestEvents.server()
        let alice = try UserID("@alice:one.test")
        let room = try RoomID("!room:one.test")
        func seal(
            _ version: RoomVersion, _ type: EventType, prev: [EventID] = [], depth: Int64 = 1, hash: [UInt8] = []
        ) throws -> JSONValue {
            let draft = EventDraft(type: type, sender: alice, stateKey: "", content: [:], roomID: room)
            let event = try draft.seal(
                version: version, prev: prev, auth: [], depth: depth, timestamp: 1, server: server,
                keyID: TestEvents.keyID, key: try TestEvents.key(),
                referenceHashes: Dictionary(prev.map { ($0, hash) }) { first, _ in first })
            return JSONValue(event.document.root)
        }
        #expect(try seal(.v12, .create)["room_id"] == nil)
        #expect(try seal(.v12, .topic)["room_id"] == "!room:one.test")
        #expect(try seal(.v11, .create)["room_id"] == "!room:one.test")
        let id = try EventID("$a:one.test")
        #expect(try seal(.v2, .topic, prev: [id])["prev_events"] == [["$a:one.test", [:]]])
        #expect(
            try seal(.v2, .topic, prev: [id], hash: [1, 2])["prev_events"] == [["$a:one.test", ["sha256": "AQI"]]])
        #expect(try seal(.v3, .topic, prev: [id])["prev_events"] == ["$a:one.test"])
        // Depth stops at the version's greatest.
        #expect(try seal(.v6, .topic, depth: .max)["depth"] == .integer(CanonicalJSON.maximumInteger))
        #expect(try seal(.v5, .topic, depth: .max)["depth"] == .integer(.max))
    }

    @Test func `a reference hash that is missing is said`() throws {
        let draft = EventDraft(
            type: .topic, sender: try UserID("@alice:one.test"), stateKey: "", content: [:],
            roomID: try RoomID("!room:one.test"))
        #expect(throws: MalformedEvent.self) {
            try draft.seal(
                version: .v1, prev: [EventID("$a:one.test")], auth: [], depth: 1, timestamp: 1,
                server: TestEvents.server(), keyID: TestEvents.keyID, key: TestEvents.key())
        }
    }

    @Test func `blanks make an event too large only beyond eight times the limit`() throws {
        let bytes = try TestEvents.message(.v12).canonicalJSON
        func padded(to count: Int) -> [UInt8] {
            [0x7B] + [UInt8](repeating: 0x20, count: count - bytes.count) + bytes.dropFirst()
        }
        let limit = 8 * 65_536
        #expect(try PDU(parsing: padded(to: limit), version: .v12).canonicalJSON == bytes)
        #expect(try PDU(parsing: JSONDocument(padded(to: limit)).root, version: .v12).canonicalJSON == bytes)
        for parse in [
            { try PDU(parsing: padded(to: limit + 1), version: .v12) },
            { try PDU(parsing: JSONDocument(padded(to: limit + 1)).root, version: .v12) },
        ] as [() throws -> PDU] {
            #expect((#expect(throws: MalformedEvent.self) { try parse() })?.kind == .tooLarge)
        }
    }

    @Test func `what makes an event malformed is told apart`() throws {
        func kind(_ version: RoomVersion, _ change: (inout JSONValue) -> Void) -> MalformedEvent.Kind? {
            do {
                _ = try parse(version, change)
                return nil
            } catch {
                return (error as? MalformedEvent)?.kind
            }
        }
        #expect(kind(.v12) { $0["content"] = ["x": .number(1.5)] } == .badJSON)
        #expect(kind(.v12) { $0["depth"] = "x" } == .badFormat)
        #expect(kind(.v12) { $0["state_key"] = .string(String(repeating: "x", count: 256)) } == .tooLarge)
        #expect(kind(.v12) { $0["sender"] = "alice" } == .badFormat)
        #expect(kind(.v12) { $0["hashes"] = ["sha256": 7] } == .badFormat)
        #expect(kind(.v12) { $0["hashes"] = [:] } == .badFormat)
        #expect(kind(.v2) { $0["prev_events"] = [["$a:one.test", [:], 1]] } == .badFormat)
        #expect(kind(.v2) { $0["prev_events"] = [["$a:one.test", [:], [:]]] } == .badFormat)
        #expect(kind(.v2) { $0["prev_events"] = [["$a:one.test", "x"]] } == .badFormat)
        #expect(kind(.v2) { $0["prev_events"] = [["$a:one.test", [:]]] } == nil)
        #expect(kind(.v2) { $0["prev_events"] = [["a:one.test", [:]]] } == .badFormat)
    }

    @Test func `a third-party invite alone needs no signature of the sender`() throws {
        func required(
            _ version: RoomVersion, _ type: EventType, _ content: JSONValue, id: String? = nil
        ) throws -> Set<String> {
            var event = try TestEvents.message(version, type: type, stateKey: "@alice:one.test", content: content)
            if let id {
                event = try PDU(
                    trusted: event.canonicalJSON, id: EventID(id), roomID: event.roomID, version: version)
            }
            return Set(EventSignatures.requiredServers(of: event).map(\.text))
        }
        let invite: JSONValue = ["membership": "invite", "third_party_invite": ["signed": [:]]]
        #expect(try required(.v12, .topic, invite) == ["one.test"])
        #expect(try required(.v12, .member, ["membership": "invite"]) == ["one.test"])
        var join = invite
        join["membership"] = "join"
        #expect(try required(.v12, .member, join) == ["one.test"])
        #expect(try required(.v12, .topic, ["join_authorised_via_users_server": "@bob:two.test"]) == ["one.test"])
        // Ids that are hashes name nobody, whatever they look like.
        #expect(try required(.v4, .topic, [:], id: "$x:three.test") == ["one.test"])
        #expect(try required(.v2, .topic, [:], id: "$x:three.test") == ["one.test", "three.test"])
    }

    @Test func `an event that a signature would make too large gets none`() throws {
        let bare = try parse(.v12) { $0["content"] = ["body": ""] }.canonicalJSON.count
        let full = try parse(.v12) {
            $0["content"] = ["body": .string(String(repeating: "x", count: 65_536 - bare))]
        }
        let error = #expect(throws: MalformedEvent.self) {
            try full.signed(by: ServerName("two.test"), keyID: "ed25519:a", key: TestEvents.key(2))
        }
        #expect(error?.kind == .tooLarge)
        // One that it just fits is signed: a signature adds what its JSON is long.
        let added =
            try TestEvents.message(.v12).signed(
                by: ServerName("two.test"), keyID: "ed25519:a", key: TestEvents.key(2)
            ).canonicalJSON.count - TestEvents.message(.v12).canonicalJSON.count
        let fitting = try parse(.v12) {
            $0["content"] = ["body": .string(String(repeating: "x", count: 65_536 - bare - added))]
        }
        let signed = try fitting.signed(by: ServerName("two.test"), keyID: "ed25519:a", key: TestEvents.key(2))
        #expect(signed.canonicalJSON.count == 65_536)
    }

    @Test func `an event without a hash is not whole`() throws {
        let event = try TestEvents.message(.v12)
        for hashes: JSONValue in [[:], ["sha256": 7], ["sha256": "!"]] {
            var value = JSONValue(event.document.root)
            value["hashes"] = hashes
            let other = try PDU(trusted: value.serialized(), id: event.id, roomID: event.roomID, version: .v12)
            #expect(!ContentHash.matches(other))
        }
    }

    @Test func `stripped state is what describes a room to the invited`() {
        #expect(
            Set(StrippedState.types.map(\.text)) == [
                "m.room.create", "m.room.name", "m.room.avatar", "m.room.topic", "m.room.join_rules",
                "m.room.canonical_alias", "m.room.encryption",
            ])
    }
}
