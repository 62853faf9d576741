import ClientEncryption
import MatrixModel
import Testing

@testable import fedchat

@Suite("Whom a message is said to be from") struct SenderDoubtTests {
    @Test(arguments: [
        (SenderStanding.verified, ""), (.crossSigned, ""),
        (.notCrossSigned, " (from a device that its owner has not verified)"),
        (.unknownDevice, " (from an unknown device)"), (.keyHandedOn, " (says @carol:a)"),
    ])
    func `what is not sure stands after the name`(standing: SenderStanding, wanted: String) {
        let event: JSONValue = ["sender_standing": .string(standing.rawValue), "key_from": "@carol:a"]
        #expect(Listen.doubt(event) == wanted)
    }

    @Test func `what an encrypted room has in the clear is told`() {
        #expect(Listen.doubt(["encrypted": false, "in_the_clear": true]) == " (NOT ENCRYPTED)")
        #expect(Listen.doubt(["encrypted": false]) == "")
    }
}
