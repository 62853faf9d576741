import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("m.room.member authorization (rule 5)") struct MemberAuthorizationTests {
    private func member(
        _ room: TestRoom, _ membership: String, of user: UserID, by sender: UserID? = nil, _ content: JSONValue = [:]
    ) -> String? {
        var content = content
        content["membership"] = .string(membership)
        return room.clauseRejecting(room.event(.member, by: sender ?? user, stateKey: user.text, content))
    }

    @Test func `a member event has a user and a membership`() {
        let room = TestRoom(.v12)
        #expect(room.clauseRejecting(room.event(.member, by: .bob, ["membership": "join"])) == "5.1")
        #expect(room.clauseRejecting(room.event(.member, by: .bob, stateKey: UserID.bob.text)) == "5.1")
        let number = room.event(.member, by: .bob, stateKey: UserID.bob.text, ["membership": 1])
        #expect(room.clauseRejecting(number) == "5.1")
        let nobody = room.event(.member, by: .bob, stateKey: "bob", ["membership": "join"])
        #expect(room.clauseRejecting(nobody) == "5.1")
        #expect(member(room, "guest", of: .bob) == "5.8")
    }

    // MARK: join

    @Test(arguments: RoomVersion.all) func `the creator joins first`(version: RoomVersion) throws {
        let room = TestRoom(version, joinRule: "invite")
        func first(_ user: UserID) throws -> String? {
            let join = room.event(
                .member, by: user, stateKey: user.text, ["membership": "join"], prev: [room.create.id])
            do throws(Rejection) {
                try authorize(join, given: RoomState([room.create]), by: room.rules, create: room.create)
                return nil
            } catch {
                return error.clause
            }
        }
        #expect(try first(.alice) == nil)
        #expect(try first(.bob) == "5.3.7")
    }

    @Test func `nobody joins another`() {
        let room = TestRoom(.v12)
        #expect(member(room, "join", of: .bob, by: .alice) == "5.3.2")
    }

    @Test func `a banned user cannot join`() {
        var room = TestRoom(.v12)
        room.ban(.mallory)
        let join = room.event(.member, by: .mallory, stateKey: UserID.mallory.text, ["membership": "join"])
        #expect(throws: Rejection("5.3.3", "sender is banned")) { try room.authorize(join) }
    }

    @Test(arguments: RoomVersion.all) func `a room for the invited`(version: RoomVersion) {
        for rule in ["invite", nil] {
            var room = TestRoom(version, joinRule: rule)
            #expect(member(room, "join", of: .bob) == "5.3.7")
            room.invite(.bob)
            #expect(member(room, "join", of: .bob) == nil)
            room.join(.bob)
            #expect(member(room, "join", of: .bob) == nil)
        }
    }

    @Test func `a room that takes knocks, from version 7`() {
        for version in [RoomVersion.v6, .v7, .v12] {
            var room = TestRoom(version, joinRule: "knock")
            #expect(member(room, "join", of: .bob) == "5.3.7")
            room.invite(.bob)
            #expect(member(room, "join", of: .bob) == (version == .v6 ? "5.3.7" : nil))
        }
    }

    @Test(arguments: RoomVersion.all) func `a public room`(version: RoomVersion) {
        let room = TestRoom(version, joinRule: "public")
        #expect(member(room, "join", of: .bob) == nil)
    }

    @Test func `a join rule that nobody knows lets nobody in`() {
        var room = TestRoom(.v12, joinRule: "private")
        room.invite(.bob)
        #expect(member(room, "join", of: .bob) == "5.3.7")
        room.send(.joinRules, by: .alice, stateKey: "", ["join_rule": 7])
        #expect(member(room, "join", of: .bob) == "5.3.4")
        // One that says nothing is as none.
        room.send(.joinRules, by: .alice, stateKey: "", [:])
        #expect(member(room, "join", of: .bob) == nil)
    }

    @Test func `restricted joins need a joined user who may invite, and that server's signature`() throws {
        for (version, rule) in [(RoomVersion.v8, "restricted"), (.v10, "knock_restricted"), (.v12, "restricted")] {
            var room = TestRoom(
                version, joinRule: rule,
                powerLevels: version == .v12
                    ? ["invite": 50] : ["invite": 50, "users": ["@alice:one.test": 100]])
            room.join(.carol)
            func join(letInBy user: UserID, signed: Bool = true) throws -> String? {
                let event = room.event(
                    .member, by: .bob, stateKey: UserID.bob.text,
                    ["membership": "join", "join_authorised_via_users_server": .string(user.text)])
                let server = TestServer(of: user)
                return room.clauseRejecting(
                    signed ? try event.signed(by: server.name, keyID: server.keyID, key: server.key) : event)
            }
            #expect(member(room, "join", of: .bob) == "5.3.5.2")
            #expect(try join(letInBy: .alice) == nil)
            #expect(try join(letInBy: .alice, signed: false) == "5.2")
            // Carol is in the room but may not invite; Mallory is not in the room.
            #expect(try join(letInBy: .carol) == "5.3.5.2")
            #expect(try join(letInBy: .mallory) == "5.3.5.2")
            room.invite(.bob)
            #expect(member(room, "join", of: .bob) == nil)
            room.ban(.bob)
            #expect(try join(letInBy: .alice) == "5.3.3")
        }
    }

    @Test func `restricted joins came with version 8, with knocks with version 10`() {
        for (version, rule) in [(RoomVersion.v7, "restricted"), (.v9, "knock_restricted")] {
            var room = TestRoom(version, joinRule: rule)
            room.invite(.bob)
            #expect(member(room, "join", of: .bob) == "5.3.7")
        }
        let content: JSONValue = ["join_authorised_via_users_server": "nobody"]
        #expect(member(TestRoom(.v7), "join", of: .bob, content) == nil)
        #expect(member(TestRoom(.v8), "join", of: .bob, content) == "5.2")
    }

    // MARK: invite

    @Test(arguments: RoomVersion.all) func `a member with the invite level invites`(version: RoomVersion) {
        var room = TestRoom(version, powerLevels: ["invite": 50, "users": ["@bob:two.test": 50]])
        room.join(.bob)
        room.join(.carol)
        #expect(member(room, "invite", of: .mallory, by: .bob) == nil)
        #expect(member(room, "invite", of: .mallory, by: .carol) == "5.4.5")
    }

    @Test func `who is in the room or banned is not invited`() {
        var room = TestRoom(.v12)
        #expect(member(room, "invite", of: .mallory, by: .bob) == "5.4.2")
        room.join(.bob)
        #expect(member(room, "invite", of: .bob, by: .alice) == "5.4.3")
        room.ban(.bob)
        #expect(member(room, "invite", of: .bob, by: .alice) == "5.4.3")
        room.knock(.carol)
        #expect(member(room, "invite", of: .carol, by: .alice) == nil)
    }

    // MARK: leave

    @Test(arguments: RoomVersion.all) func `a member leaves, an invited user declines`(version: RoomVersion) {
        var room = TestRoom(version)
        #expect(member(room, "leave", of: .bob) == "5.5.1")
        room.invite(.bob)
        #expect(member(room, "leave", of: .bob) == nil)
        room.join(.bob)
        #expect(member(room, "leave", of: .bob) == nil)
        room.knock(.bob)
        #expect(member(room, "leave", of: .bob) == (version.rules.authorization.knocking ? nil : "5.5.1"))
        room.ban(.bob)
        #expect(member(room, "leave", of: .bob) == "5.5.1")
    }

    @Test func `kicking needs the level and a lesser target`() {
        var room = TestRoom(
            .v12, powerLevels: ["kick": 40, "ban": 60, "users": ["@bob:two.test": 50, "@carol:one.test": 49]])
        #expect(member(room, "leave", of: .carol, by: .bob) == "5.5.2")
        for user in [UserID.bob, .carol, .mallory] { room.join(user) }
        #expect(member(room, "leave", of: .carol, by: .bob) == nil)
        #expect(member(room, "leave", of: .bob, by: .carol) == "5.5.5")
        #expect(member(room, "leave", of: .bob, by: .mallory) == "5.5.5")
        #expect(member(room, "leave", of: .alice, by: .bob) == "5.5.5")
        #expect(member(room, "leave", of: .bob, by: .alice) == nil)
    }

    @Test func `lifting a ban needs the ban level too`() {
        var room = TestRoom(.v12, powerLevels: ["kick": 40, "ban": 60, "users": ["@bob:two.test": 50]])
        room.join(.bob)
        room.ban(.mallory)
        #expect(member(room, "leave", of: .mallory, by: .bob) == "5.5.3")
        #expect(member(room, "leave", of: .mallory, by: .alice) == nil)
    }

    // MARK: ban

    @Test(arguments: [RoomVersion.v1, .v12]) func `banning needs the level and a lesser target`(version: RoomVersion) {
        var room = TestRoom(
            version,
            powerLevels: ["ban": 50, "users": ["@bob:two.test": 50, "@carol:one.test": 50]])
        #expect(member(room, "ban", of: .mallory, by: .bob) == "5.6.1")
        room.join(.bob)
        room.join(.carol)
        room.join(.mallory)
        #expect(member(room, "ban", of: .mallory, by: .bob) == nil)
        #expect(member(room, "ban", of: .carol, by: .bob) == "5.6.3")
        #expect(member(room, "ban", of: .bob, by: .mallory) == "5.6.3")
    }

    @Test func `nobody bans a creator, not even another one`() {
        var room = TestRoom(.v12, createContent: ["additional_creators": ["@bob:two.test"]])
        room.join(.bob)
        #expect(member(room, "ban", of: .alice, by: .bob) == "5.6.3")
        #expect(member(room, "ban", of: .bob, by: .alice) == "5.6.3")
        #expect(member(room, "ban", of: .mallory, by: .bob) == nil)
    }

    // MARK: knock

    @Test func `knocking needs a join rule for it`() {
        for (version, rule, expected) in [
            (RoomVersion.v7, "knock", nil), (.v10, "knock_restricted", nil), (.v9, "knock_restricted", "5.7.1"),
            (.v12, "invite", "5.7.1"), (.v12, "public", "5.7.1"), (.v6, "knock", "5.8"),
        ] as [(RoomVersion, String, String?)] {
            #expect(member(TestRoom(version, joinRule: rule), "knock", of: .bob) == expected)
        }
    }

    @Test func `who is invited, in or banned does not knock`() {
        var room = TestRoom(.v12, joinRule: "knock")
        #expect(member(room, "knock", of: .bob, by: .carol) == "5.7.2")
        room.knock(.bob)
        #expect(member(room, "knock", of: .bob) == nil)
        room.leave(.bob)
        #expect(member(room, "knock", of: .bob) == nil)
        room.invite(.bob)
        #expect(member(room, "knock", of: .bob) == "5.7.4")
        room.join(.bob)
        #expect(member(room, "knock", of: .bob) == "5.7.4")
        room.ban(.bob)
        #expect(member(room, "knock", of: .bob) == "5.7.4")
    }
}
