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
            return redactionApplies(redaction, to: target, given: room, create: room.create)
        }
        #expect(applies(bobs, by: .alice))
        #expect(applies(bobs, by: .bob))
        #expect(!applies(alices, by: .bob))
        // Carol has no power, but is on Alice's server.
        #expect(applies(alices, by: .carol))
        #expect(!applies(bobs, by: .carol))
        #expect(!applies(alices, by: .alice, naming: bobs.id))
    }
}
