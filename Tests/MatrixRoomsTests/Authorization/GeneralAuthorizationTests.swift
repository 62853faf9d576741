import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("Authorization of all events (rules 2 to 4, 6 to 9, 11)") struct GeneralAuthorizationTests {
    @Test(arguments: RoomVersion.all) func `a member may speak and set what their level allows`(
        version: RoomVersion
    ) throws {
        var room = TestRoom(version)
        room.join(.bob)
        #expect(room.clauseRejecting(room.event(.message, by: .bob, ["body": "hi"])) == nil)
        #expect(room.clauseRejecting(room.event(.topic, by: .alice, stateKey: "", ["topic": "t"])) == nil)
        #expect(room.clauseRejecting(room.event(.topic, by: .bob, stateKey: "", ["topic": "t"])) == "8")
    }

    @Test(arguments: [RoomVersion.v1, .v11, .v12]) func `an event of another room is rejected`(version: RoomVersion) {
        var room = TestRoom(version)
        room.join(.bob)
        let other = TestRoom(version, creator: .bob)
        #expect(room.clauseRejecting(other.event(.message, by: .bob)) == "2")
    }

    @Test func `what is no create event makes no room`() {
        var room = TestRoom(.v11)
        let other = room.send(.create, by: .alice, stateKey: "x", ["creator": "@alice:one.test"])
        let topic = room.send(.topic, by: .alice, stateKey: "")
        let message = room.event(.message, by: .alice)
        for create in [other, topic] {
            #expect(throws: Rejection.self) { try authorize(message, given: room, by: .v11, create: create) }
        }
        #expect(throws: Never.self) { try authorize(message, given: room, by: .v11, create: room.create) }
    }

    @Test(arguments: [RoomVersion.v1, .v12]) func `a room that is not federated is its server's own`(
        version: RoomVersion
    ) {
        var room = TestRoom(version, createContent: ["m.federate": false])
        #expect(
            room.clauseRejecting(room.event(.member, by: .bob, stateKey: UserID.bob.text, ["membership": "join"]))
                == "4")
        room.join(.carol)
        #expect(room.clauseRejecting(room.event(.message, by: .carol)) == nil)
        room.join(.bob)
        #expect(room.clauseRejecting(room.event(.message, by: .bob)) == "4")
    }

    @Test func `who is not joined may not speak`() {
        var room = TestRoom(.v12)
        #expect(room.clauseRejecting(room.event(.message, by: .bob)) == "6")
        room.invite(.bob)
        #expect(room.clauseRejecting(room.event(.message, by: .bob)) == "6")
        room.join(.bob)
        #expect(room.clauseRejecting(room.event(.message, by: .bob)) == nil)
        room.leave(.bob)
        #expect(room.clauseRejecting(room.event(.message, by: .bob)) == "6")
    }

    @Test func `a membership that nobody knows is no membership`() {
        var room = TestRoom(.v12)
        room.send(.member, by: .bob, stateKey: UserID.bob.text, ["membership": 7])
        #expect(room.clauseRejecting(room.event(.message, by: .bob)) == "6")
    }

    @Test func `third-party invites need the invite level, not that of state`() {
        var room = TestRoom(.v12, powerLevels: ["invite": 10, "users": ["@bob:two.test": 10]])
        room.join(.bob)
        room.join(.carol)
        #expect(room.clauseRejecting(room.event(.thirdPartyInvite, by: .bob, stateKey: "token")) == nil)
        #expect(room.clauseRejecting(room.event(.thirdPartyInvite, by: .carol, stateKey: "token")) == "7.1")
    }

    @Test func `an event needs the level of its type`() {
        var room = TestRoom(
            .v12,
            powerLevels: [
                "events": ["m.room.topic": 5, "m.room.message": 6], "events_default": 3, "users_default": 5,
            ])
        room.join(.bob)
        #expect(room.clauseRejecting(room.event(.topic, by: .bob, stateKey: "")) == nil)
        #expect(room.clauseRejecting(room.event(.message, by: .bob)) == "8")
        #expect(room.clauseRejecting(room.event(.sticker, by: .bob)) == nil)
        #expect(room.clauseRejecting(room.event(.name, by: .bob, stateKey: "")) == "8")
    }

    @Test func `a level that cannot be read allows nothing`() {
        var room = TestRoom(.v12)
        room.join(.bob)
        room.setPowerLevels(["events_default": "0"])
        #expect(room.clauseRejecting(room.event(.message, by: .bob)) == "8")
    }

    @Test func `without power levels the creator has 100 and state needs 50`() {
        for version in [RoomVersion.v10, .v11, .v12] {
            var room = TestRoom(version, powerLevels: nil)
            room.join(.bob)
            #expect(room.clauseRejecting(room.event(.topic, by: .alice, stateKey: "")) == nil)
            #expect(room.clauseRejecting(room.event(.topic, by: .bob, stateKey: "")) == "8")
            #expect(room.clauseRejecting(room.event(.message, by: .bob)) == nil)
        }
    }

    @Test func `a state key that names a user is that user's own`() {
        var room = TestRoom(.v12, powerLevels: ["state_default": 0])
        room.join(.bob)
        let type: EventType = "org.example.status"
        #expect(room.clauseRejecting(room.event(type, by: .bob, stateKey: UserID.bob.text)) == nil)
        #expect(room.clauseRejecting(room.event(type, by: .bob, stateKey: UserID.alice.text)) == "9")
        #expect(room.clauseRejecting(room.event(type, by: .alice, stateKey: UserID.bob.text)) == "9")
        #expect(room.clauseRejecting(room.event(type, by: .bob, stateKey: "@")) == "9")
        #expect(room.clauseRejecting(room.event(type, by: .bob, stateKey: "bob")) == nil)
    }

    @Test func `users whose names differ only in their spelling are two`() throws {
        let composed = UserID.testUser("@caf\u{E9}:two.test")
        let decomposed = UserID.testUser("@cafe\u{301}:two.test")
        var room = TestRoom(.v12, powerLevels: ["users": [.init(composed.text): 100]])
        room.join(composed)
        #expect(room.clauseRejecting(room.event(.message, by: composed)) == nil)
        #expect(room.clauseRejecting(room.event(.message, by: decomposed)) == "6")
        room.join(decomposed)
        #expect(room.clauseRejecting(room.event(.topic, by: composed, stateKey: "")) == nil)
        #expect(room.clauseRejecting(room.event(.topic, by: decomposed, stateKey: "")) == "8")
        let leave = room.event(.member, by: decomposed, stateKey: composed.text, ["membership": "leave"])
        #expect(room.clauseRejecting(leave) == "5.5.5")
    }

    @Test(arguments: [RoomVersion.v1, .v5]) func `up to version 5 aliases belong to a server`(version: RoomVersion) {
        let room = TestRoom(version)
        // Not even membership is asked for.
        #expect(room.clauseRejecting(room.event(.aliases, by: .bob, stateKey: "two.test")) == nil)
        #expect(room.clauseRejecting(room.event(.aliases, by: .bob, stateKey: "one.test")) == "v1 4.2")
        #expect(room.clauseRejecting(room.event(.aliases, by: .bob)) == "v1 4.1")
    }

    @Test func `from version 6 aliases are state like any other`() {
        let room = TestRoom(.v6)
        #expect(room.clauseRejecting(room.event(.aliases, by: .bob, stateKey: "two.test")) == "6")
        #expect(room.clauseRejecting(room.event(.aliases, by: .alice, stateKey: "two.test")) == nil)
    }

    @Test(arguments: [RoomVersion.v1, .v2]) func `in versions 1 and 2 a redaction needs power or the same server`(
        version: RoomVersion
    ) {
        var room = TestRoom(version)
        room.join(.bob)
        let own = room.send(.message, by: .bob)
        let others = room.send(.message, by: .alice)
        func redaction(_ target: EventID?, by sender: UserID) -> String? {
            room.clauseRejecting(room.event(.redaction, by: sender, redacts: target))
        }
        #expect(redaction(others.id, by: .alice) == nil)
        #expect(redaction(own.id, by: .alice) == nil)
        #expect(redaction(own.id, by: .bob) == nil)
        #expect(redaction(others.id, by: .bob) == "v1 11.3")
        #expect(redaction(nil, by: .bob) == "v1 11.3")
    }

    @Test func `from version 3 a redaction is judged when it is applied`() {
        var room = TestRoom(.v3)
        room.join(.bob)
        let others = room.send(.message, by: .alice)
        #expect(room.clauseRejecting(room.event(.redaction, by: .bob, redacts: others.id)) == nil)
    }
}
