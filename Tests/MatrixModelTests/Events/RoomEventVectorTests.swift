import Cryptography
import Testing

@testable import MatrixModel

/// Events that another implementation hashed and signed, in each room version: `script/room-vectors`.
@Suite("Whole events, our vectors") struct RoomEventVectorTests {
    private static let vectors = EventVectors.events

    private func bytes(_ value: JSONValue?) throws -> [UInt8] { try #require(Base64.decode(value?.string ?? "-")) }

    @Test(arguments: EventVectors.list(vectors, "cases")) func `an event is read as written down`(
        vector: JSONValue
    ) throws {
        let version = try #require(RoomVersion(vector["version"]?.string ?? ""))
        let given = try #require(vector["event"])
        let event = try PDU(parsing: given.serialized(), version: version)
        #expect(text(event.canonicalJSON) == vector["canonical"]?.string)
        #expect(event.id.text == vector["event_id"]?.string)
        #expect(event.roomID.text == vector["room_id"]?.string)
        #expect(ContentHash.matches(event))
        #expect(try ContentHash.compute(event.document.root) == bytes(vector["content_hash"]))
        #expect(try event.referenceHash == bytes(vector["reference_hash"]))
        let server = try ServerName(Self.vectors["server"]?.string ?? "")
        let keyID = try #require(Self.vectors["key_id"]?.string)
        let key = try Ed25519.PublicKey(bytes(Self.vectors["public_key"]))
        #expect(EventSignatures.verify(event, server: server, keyID: keyID, key: key))
        #expect(EventSignatures.keyIDs(of: server, on: event) == [keyID])

        // Redacted it has the same id, and its signature holds.
        let redacted = try event.redacted()
        #expect(JSONValue(redacted.document.root) == vector["redacted"])
        #expect(Redaction.redact(event.document.root, rules: version.rules) == vector["redacted"])
        #expect(EventSignatures.verify(redacted, server: server, keyID: keyID, key: key))
        #expect(try PDU(parsing: redacted.canonicalJSON, version: version).id == event.id)

        // Written otherwise, with what nobody signs, it is the same event.
        var other = given
        other["unsigned"] = ["age": 5]
        let loose = Array(text(other.serialized()).replacing(",\"", with: " ,\n\"").utf8)
        #expect(try PDU(parsing: loose, version: version).canonicalJSON == event.canonicalJSON)

        // A change of what is protected changes the reference hash, of anything the content hash.
        var changed = given
        changed["content"]?["org.example.new"] = 1
        #expect(try !ContentHash.matches(PDU(parsing: changed.serialized(), version: version)))
        changed = given
        changed["origin_server_ts"] = 1
        let late = try PDU(parsing: changed.serialized(), version: version)
        #expect(late.referenceHash != event.referenceHash)
        #expect(!EventSignatures.verify(late, server: server, keyID: keyID, key: key))
    }

    @Test(arguments: EventVectors.list(vectors, "cases")) func `an event is sealed as written down`(
        vector: JSONValue
    ) throws {
        let version = try #require(RoomVersion(vector["version"]?.string ?? ""))
        let event = try PDU(parsing: try #require(vector["event"]).serialized(), version: version)
        // A draft has no further keys of its own, and makes its own ids where ids are chosen.
        guard !version.rules.eventIDIsSent, event.document.root["origin"] == nil else { return }
        var content = event.content.value
        if version.rules.redactsLocation == .content { content["redacts"] = nil }
        let isCreate = event.type == .create && version.rules.roomIDIsCreateEventHash
        let draft = EventDraft(
            type: event.type, sender: event.sender, stateKey: event.stateKey, content: content,
            roomID: isCreate ? nil : event.roomID, redacts: event.redacts)
        let sealed = try draft.seal(
            version: version, prev: event.prevEvents, auth: event.authEvents, depth: event.depth,
            timestamp: event.originServerTimestamp, server: try ServerName(Self.vectors["server"]?.string ?? ""),
            keyID: try #require(Self.vectors["key_id"]?.string),
            key: try Ed25519.SigningKey(seed: bytes(Self.vectors["seed"])))
        #expect(text(sealed.canonicalJSON) == vector["canonical"]?.string)
    }
}
