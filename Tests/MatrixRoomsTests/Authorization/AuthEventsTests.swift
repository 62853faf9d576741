import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("Auth events (rule 3)") struct AuthEventsTests {
    private func clause(
        _ room: TestRoom, _ event: PDU, others: [PDU] = [], rejected: EventID? = nil
    ) -> String? {
        let known = room.events.merging(others.map { ($0.id, $0) }) { first, _ in first }
        do throws(Rejection) {
            try checkAuthEvents(
                event, authEvents: event.authEvents.compactMap { known[$0] }, by: room.rules,
                isRejected: { $0 == rejected })
            return nil
        } catch {
            return error.clause
        }
    }

    private func ids(_ room: TestRoom, _ keys: [(EventType, String)]) -> [EventID] {
        keys.compactMap { room.event($0.0, $0.1)?.id }
    }

    @Test func `the selection follows the specification`() throws {
        func keys(
            _ version: RoomVersion, _ type: EventType, stateKey: String? = nil, _ content: JSONValue = [:]
        ) -> Set<StateKey> {
            Set(authEventKeys(type: type, sender: .alice, stateKey: stateKey, content: content, rules: version.rules))
        }
        let alice = StateKey(.member, UserID.alice.text)
        let bob = StateKey(.member, UserID.bob.text)
        let levels = StateKey(.powerLevels, "")
        let create = StateKey(.create, "")
        let joinRules = StateKey(.joinRules, "")
        #expect(keys(.v11, .create, stateKey: "").isEmpty)
        #expect(keys(.v11, .message) == [create, levels, alice])
        #expect(keys(.v12, .message) == [levels, alice])
        // What looks like a membership is one only in an event that is.
        #expect(keys(.v12, .topic, stateKey: UserID.bob.text, ["membership": "join"]) == [levels, alice])
        let target = UserID.bob.text
        #expect(keys(.v12, .member, stateKey: target, ["membership": "ban"]) == [levels, alice, bob])
        #expect(keys(.v12, .member, stateKey: target, ["membership": "leave"]) == [levels, alice, bob])
        for membership: JSONValue in ["join", "invite", "knock"] {
            #expect(
                keys(.v12, .member, stateKey: target, ["membership": membership]) == [levels, alice, bob, joinRules])
        }
        let invite: JSONValue = ["membership": "invite", "third_party_invite": ["signed": ["token": "t"]]]
        #expect(keys(.v12, .member, stateKey: target, invite).contains(StateKey(.thirdPartyInvite, "t")))
        let join: JSONValue = ["membership": "join", "join_authorised_via_users_server": "@carol:one.test"]
        let carol = StateKey(.member, UserID.carol.text)
        #expect(keys(.v8, .member, stateKey: target, join).contains(carol))
        #expect(!keys(.v7, .member, stateKey: target, join).contains(carol))
    }

    @Test func `nothing is selected twice`() {
        let own = authEventKeys(
            type: .member, sender: .alice, stateKey: UserID.alice.text,
            content: ["membership": "join", "join_authorised_via_users_server": "@alice:one.test"] as JSONValue,
            rules: .v11)
        #expect(own.count == 4 && Set(own).count == 4)
    }

    @Test(arguments: RoomVersion.all) func `what is selected is accepted`(version: RoomVersion) {
        var room = TestRoom(version)
        room.join(.bob)
        for id in room.order { #expect(clause(room, room.events[id] ?? room.create) == nil) }
    }

    @Test func `two for one place are rejected`() {
        var room = TestRoom(.v11)
        let first = room.event(.member, UserID.alice.text)
        room.join(.alice)
        let auth =
            ids(room, [(.create, ""), (.powerLevels, ""), (.member, UserID.alice.text)]) + [first?.id ?? room.create.id]
        #expect(clause(room, room.event(.message, by: .alice, auth: auth)) == "3.1")
    }

    @Test func `what the event does not need is rejected`() {
        let room = TestRoom(.v11)
        let auth = ids(room, [(.create, ""), (.joinRules, "")])
        #expect(clause(room, room.event(.message, by: .alice, auth: auth)) == "3.2")
        var talk = room
        let message = talk.send(.message, by: .alice)
        #expect(clause(talk, talk.event(.message, by: .alice, auth: [room.create.id, message.id])) == "3.2")
    }

    @Test func `the create event is listed up to version 11, and not after`() {
        let old = TestRoom(.v11)
        #expect(clause(old, old.event(.message, by: .alice, auth: ids(old, [(.powerLevels, "")]))) == "v1 2.4")
        let new = TestRoom(.v12)
        #expect(clause(new, new.event(.message, by: .alice, auth: ids(new, [(.powerLevels, "")]))) == nil)
        #expect(clause(new, new.event(.message, by: .alice, auth: [new.create.id])) == "3.2")
    }

    @Test func `a rejected one is rejected`() {
        let room = TestRoom(.v12)
        #expect(clause(room, room.event(.message, by: .alice), rejected: room.event(.powerLevels, "")?.id) == "3.3")
    }

    @Test(arguments: [RoomVersion.v1, .v11, .v12]) func `one of another room is rejected`(version: RoomVersion) {
        let room = TestRoom(version)
        let other = TestRoom(version, creator: .bob)
        let foreign = [other.event(.powerLevels, "")].compactMap(\.self)
        var auth = foreign.map(\.id)
        if version.rules.authorization.createIsAuthEvent { auth.append(room.create.id) }
        var mixed = room
        for event in foreign { mixed.add(event) }
        #expect(clause(room, mixed.event(.message, by: .alice, auth: auth), others: foreign) == "3.5")
    }

    @Test func `one that is not known is rejected`() throws {
        let room = TestRoom(.v12)
        #expect(clause(room, room.event(.message, by: .alice, auth: [try EventID("$nobody")])) == "3")
    }
}
