import MatrixModel
import Testing

@Suite("Hostile events") struct HostileEventTests {
    /// A linear congruential generator: the same bytes are tried on every run.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }
    }

    @Test(arguments: [RoomVersion.v1, .v5, .v11, .v12])
    func `changed bytes are refused, or read as what parses to itself again`(version: RoomVersion) throws {
        var generator = Generator(state: 7)
        let original = try TestEvents.message(
            version, type: .member, stateKey: "@alice:one.test",
            content: ["membership": "invite", "third_party_invite": ["signed": ["mxid": "x"]]])
        let pieces: [[UInt8]] = ["null", "-1", "1e999", "[]", "{}", "\"\\u0000\"", "\"", "}", ",", "\u{FF}", ":"]
            .map { Array($0.utf8) }
        var accepted = 0
        for _ in 0..<1_500 {
            var bytes = original.canonicalJSON
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let start = Int.random(in: 0..<bytes.count, using: &generator)
                let end = min(bytes.count, start + Int.random(in: 0...12, using: &generator))
                bytes.replaceSubrange(start..<end, with: pieces.randomElement(using: &generator) ?? [])
                if bytes.isEmpty { bytes = [0x7B] }
            }
            guard let event = try? PDU(parsing: bytes, version: version) else { continue }
            accepted += 1
            let again = try PDU(parsing: event.canonicalJSON, version: version)
            #expect(again.id == event.id && again.canonicalJSON == event.canonicalJSON)
            let redacted = try event.redacted()
            #expect(redacted.referenceHash == event.referenceHash)
            #expect(try redacted.redacted().canonicalJSON == redacted.canonicalJSON)
            _ = (ContentHash.matches(event), EventSignatures.requiredServers(of: event), event.redacts)
            _ = ClientEvent.value(of: event, withRoomID: true)
        }
        #expect(accepted > 0)
    }
}
