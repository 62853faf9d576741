import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("Handling redactions") struct RedactionPermissionTests {
    @Test(arguments: [RoomVersion.v3, .v10, .v11, .v12]) func `it takes the redact level, or the same server`(
        version: RoomVersion
    ) {
        var room = TestRoom(version)
        for user in [UserID.bob, .carol] { room.join(user) }
        let (alices, bobs) = (room.send(.message, by: .alice), room.send(.message, by: .bob))
        func applies(_ target: PDU, by sender: UserID, naming id: EventID? = nil) -> Bool {
            let redaction = room.event(.redaction, by: sender, redacts: id ?? target.id)
            return redactionApplies(redaction, to: target) { room }
        }
        #expect(applies(bobs, by: .alice))
        #expect(applies(bobs, by: .bob))
        #expect(!applies(alices, by: .bob))
        // Carol has no power, but is on Alice's server.
        #expect(applies(alices, by: .carol))
        #expect(!applies(bobs, by: .carol))
        #expect(!applies(alices, by: .alice, naming: bobs.id))
    }

    @Test func `the redact level is the room's, and only redactions of this room redact`() throws {
        for (needed, applies) in [(50, true), (51, false)] as [(JSONValue, Bool)] {
            var room = TestRoom(.v12, powerLevels: ["users": ["@bob:two.test": 50], "redact": needed])
            room.join(.bob)
            let message = room.send(.message, by: .alice)
            let redaction = room.event(.redaction, by: .bob, redacts: message.id)
            #expect(redactionApplies(redaction, to: message) { room } == applies)
        }
        var room = TestRoom(.v12)
        let message = room.send(.message, by: .alice)
        // Nothing else redacts, even if it names an event so.
        let other = room.event(.topic, by: .alice, stateKey: "", ["redacts": .string(message.id.text)])
        #expect(other.redacts == message.id)
        #expect(!redactionApplies(other, to: message) { room })
        // Nor one of another room.
        let elsewhere = TestRoom(.v12, createContent: ["x": 1])
        let foreign = elsewhere.event(.redaction, by: .alice, redacts: message.id)
        #expect(!redactionApplies(foreign, to: message) { room })
        // Nor where nobody knows whose room it is.
        let own = room.event(.redaction, by: .alice, redacts: message.id)
        #expect(redactionApplies(own, to: message) { RoomState() }, "of the same server it is not asked")
        let others = room.event(.redaction, by: .bob, redacts: message.id)
        #expect(!redactionApplies(others, to: message) { RoomState() })
        // A level that cannot be read redacts nothing.
        room.setPowerLevels(["redact": "x"])
        room.join(.bob)
        let redaction = room.event(.redaction, by: .bob, redacts: message.id)
        #expect(!redactionApplies(redaction, to: message) { room })
    }

    @Test(arguments: [RoomVersion.v1, .v2]) func `in versions 1 and 2 what was accepted applies`(
        version: RoomVersion
    ) {
        var room = TestRoom(version)
        room.join(.bob)
        let message = room.send(.message, by: .alice)
        let redaction = room.event(.redaction, by: .bob, redacts: message.id)
        #expect(redactionApplies(redaction, to: message) { room })
    }
}
