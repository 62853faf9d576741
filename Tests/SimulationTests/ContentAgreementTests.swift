import Cryptography
import FedchatTesting
import HomeserverStorage
import MatrixModel
import MatrixRooms
import Testing

@testable import Simulation

/// Which contents of an event servers may have, and which not.
@Suite("Agreement about contents") struct ContentAgreementTests {
    private let names: [ServerName]
    private let key: Ed25519.SigningKey

    init() throws {
        names = try ["a.test", "b.test"].map { try ServerName($0) }
        key = try Ed25519.SigningKey(seed: Array(repeating: 7, count: 32))
    }

    private func event(
        _ type: EventType, _ content: JSONValue, by sender: String = "@a0:a.test", redacts: EventID? = nil,
        version: RoomVersion = .v11
    ) throws -> PDU {
        let user = try UserID(sender)
        let draft = EventDraft(
            type: type, sender: user, content: content, roomID: try RoomID("!r:a.test"), redacts: redacts)
        return try draft.seal(
            version: version, prev: [], auth: [], depth: 5, timestamp: 1, server: user.serverName, keyID: "ed25519:s",
            key: key)
    }

    /// An event with another content, and the hash and signatures that it had.
    private func changed(_ event: PDU) throws -> PDU {
        var value = JSONValue(event.document.root)
        value["content"] = ["body": "changed"]
        return try PDU(trusted: value.serialized(), id: event.id, roomID: event.roomID, version: event.version)
    }

    private func view(
        _ server: ServerName, _ events: [(pdu: PDU, redactedBy: EventID?)], version: RoomVersion = .v11
    ) -> ServerView {
        let stored = events.enumerated().map { number, event in
            StoredEvent(
                nid: Int64(number), pdu: event.pdu, roomNID: 1, position: Int64(number + 1), flags: [], stateAfter: nil,
                replaces: nil, redactedBy: event.redactedBy)
        }
        return ServerView(
            server: server, version: version, state: [:], extremities: [],
            events: Dictionary(uniqueKeysWithValues: stored.map { ($0.id, $0) }), stateAfter: [:], joined: [])
    }

    private func views(_ first: PDU, _ second: PDU) -> [ServerView] {
        [view(names[0], [(first, nil)]), view(names[1], [(second, nil)])]
    }

    @Test func `a content that was not hashed is found on one server alone`() throws {
        let message = try event(.message, ["body": "said"])
        #expect(try ContentAgreement(views: views(message, message)).differences() == [])
        let found = try ContentAgreement(views: [view(names[0], [(changed(message), nil)])]).differences()
        #expect(found.count == 1 && found[0].contains("not what was hashed"))
    }

    @Test func `who lacks a content that nobody redacted got another, and no whole copy since`() throws {
        let message = try event(.message, ["body": "said"])
        let apart = try views(message, message.redacted())
        #expect(try ContentAgreement(views: apart).differences().count == 1)
        #expect(try ContentAgreement(views: apart, tampered: [message.id]).differences() == [])
        let mendable = [names[1]: Set([message.id])]
        let found = try ContentAgreement(views: apart, tampered: [message.id], mendable: mendable).differences()
        #expect(found.count == 1 && found[0].contains("given a whole copy"))
    }

    @Test(arguments: [RoomVersion.v1, .v11])
    func `a redaction that is shown is carried out`(version: RoomVersion) throws {
        let message = try event(.message, ["body": "said"], version: version)
        let redaction = try event(.redaction, ["reason": "so"], redacts: message.id, version: version)
        let done = view(names[0], [(try message.redacted(), redaction.id), (redaction, nil)], version: version)
        let undone = view(names[1], [(message, nil), (redaction, nil)], version: version)
        let untold = view(names[1], [(message, nil)], version: version)
        #expect(try ContentAgreement(views: [done]).differences() == [])
        #expect(try ContentAgreement(views: [done, untold]).differences() == [])
        let found = try ContentAgreement(views: [done, undone]).differences()
        #expect(found.count == 1 && found[0].contains("has not carried it out"))
        let kept = view(names[0], [(message, redaction.id), (redaction, nil)], version: version)
        #expect(try ContentAgreement(views: [kept]).differences().count == 1)
        let groundless = view(names[0], [(try message.redacted(), redaction.id)], version: version)
        #expect(try ContentAgreement(views: [groundless]).differences().count == 1)
    }

    @Test func `a redaction that does not say of what need not be carried out`() throws {
        let message = try event(.message, ["body": "said"], version: .v1)
        let redaction = try event(.redaction, ["reason": "so"], redacts: message.id, version: .v1)
        let last = try event(.redaction, ["reason": "that, too"], redacts: redaction.id, version: .v1)
        let told = view(
            names[0], [(message, nil), (try redaction.redacted(), last.id), (last, nil)], version: .v1)
        #expect(try ContentAgreement(views: [told]).differences() == [])
    }

    @Test func `a redaction by another server's user hangs on power levels`() throws {
        let message = try event(.message, ["body": "said"])
        let redaction = try event(.redaction, ["reason": "so"], by: "@b0:b.test", redacts: message.id)
        #expect(
            try ContentAgreement(views: [view(names[0], [(message, nil), (redaction, nil)])]).differences() == [])
    }

    @Test func `one id for two events is found, but where a hostile server chose it`() throws {
        let one = try event(.message, ["body": "said"], version: .v1)
        var value = JSONValue(try event(.topic, ["topic": "x"], version: .v1).document.root)
        value["event_id"] = .string(one.id.text)
        let hash = ContentHash.compute(try JSONDocument(value.serialized()).root)
        value["hashes"] = ["sha256": .string(Base64.encode(hash, .standardUnpadded))]
        let other = try PDU(parsing: value.serialized(), version: .v1)
        let apart = views(one, other)
        #expect(try ContentAgreement(views: apart).differences().count == 1)
        #expect(try ContentAgreement(views: apart, hostile: [names[0]]).differences() == [])
    }
}
