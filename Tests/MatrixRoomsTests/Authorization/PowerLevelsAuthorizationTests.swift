import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("m.room.power_levels authorization (rule 10)") struct PowerLevelsAuthorizationTests {
    /// A room where Bob has 50 of the creator's 100 or more, and may change power levels.
    private func room(_ version: RoomVersion, _ content: JSONValue = [:]) -> TestRoom {
        var content = content
        var users: JSONValue = content["users"] ?? [:]
        users["@bob:two.test"] = 50
        if !version.rules.authorization.privilegedCreators { users["@alice:one.test"] = 100 }
        content["users"] = users
        var room = TestRoom(version, powerLevels: content)
        room.join(.bob)
        return room
    }

    /// Bob changes the levels of the room.
    private func change(_ room: TestRoom, by sender: UserID = .bob, _ change: (inout JSONValue) -> Void) -> String? {
        var content = room.event(.powerLevels, "")?.content.value ?? [:]
        change(&content)
        return room.clauseRejecting(room.event(.powerLevels, by: sender, stateKey: "", content))
    }

    @Test(arguments: RoomVersion.all) func `changing nothing is allowed`(version: RoomVersion) {
        #expect(change(room(version)) { _ in } == nil)
    }

    @Test(arguments: ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"])
    func `named levels are integers from version 10 on`(key: String) {
        #expect(change(room(.v10)) { $0[key] = "7" } == "10.1")
        #expect(change(room(.v12)) { $0[key] = nil } == nil)
        #expect(change(room(.v12)) { $0[key] = .null } == "10.1")
        #expect(change(room(.v9)) { $0[key] = "7" } == nil)
        #expect(change(room(.v9)) { $0[key] = "x" } == "10.6")
    }

    @Test func `maps of levels hold integers from version 10 on`() {
        for key in ["events", "notifications"] {
            #expect(change(room(.v10)) { $0[key] = ["x": "7"] } == "10.2")
            #expect(change(room(.v10)) { $0[key] = [7] } == "10.2")
            #expect(change(room(.v10)) { $0[key] = ["x": 7] } == nil)
            #expect(change(room(.v9)) { $0[key] = ["x": "7"] } == nil)
        }
    }

    @Test(arguments: RoomVersion.all) func `users are users`(version: RoomVersion) {
        #expect(change(room(version)) { $0["users"] = 7 } == "10.3")
        #expect(change(room(version)) { $0["users"]?["nobody"] = 7 } == "10.3")
        #expect(change(room(version)) { $0["users"]?["@carol:one.test"] = "x" } == "10.3")
        let isStrict = version.rules.authorization.powerLevelFormat == .integers
        #expect(change(room(version)) { $0["users"]?["@carol:one.test"] = " +7 " } == (isStrict ? "10.3" : nil))
    }

    @Test func `creators have no entry in version 12`() {
        var room = TestRoom(.v12, createContent: ["additional_creators": ["@carol:one.test"]], powerLevels: nil)
        room.join(.bob)
        for creator in [UserID.alice, .carol] {
            #expect(change(room, by: .alice) { $0["users"] = [creator.text: 100] } == "10.4")
        }
        #expect(change(room, by: .alice) { $0["users"] = ["@bob:two.test": 100] } == nil)
        #expect(change(TestRoom(.v11), by: .alice) { $0["users"] = ["@alice:one.test": 100] } == nil)
    }

    @Test func `the first levels may be any`() {
        for version in [RoomVersion.v11, .v12] {
            let room = TestRoom(version, powerLevels: nil)
            #expect(change(room, by: .alice) { $0 = ["ban": 9_000, "users": ["@bob:two.test": 9_000]] } == nil)
        }
    }

    @Test(arguments: ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"])
    func `named levels move at or below the sender's own`(key: String) {
        #expect(change(room(.v11, [key: 50])) { $0[key] = 49 } == nil)
        #expect(change(room(.v11, [key: 49])) { $0[key] = 50 } == nil)
        #expect(change(room(.v11, [key: 49])) { $0[key] = nil } == nil)
        #expect(change(room(.v11, [key: 49])) { $0[key] = 51 } == "10.6.2")
        #expect(change(room(.v11)) { $0[key] = 51 } == "10.6.2")
        // Above Bob's level he may neither change it nor take it away; he may keep it.
        if key != "state_default", key != "users_default" {
            #expect(change(room(.v11, [key: 51])) { $0[key] = 50 } == "10.6.1")
            #expect(change(room(.v11, [key: 51])) { $0[key] = nil } == "10.6.1")
            #expect(change(room(.v11, [key: 51])) { $0["events"] = ["x": 1] } == nil)
        }
    }

    @Test func `a level written otherwise is the same level`() {
        #expect(change(room(.v9, ["ban": 60])) { $0["ban"] = "060" } == nil)
        #expect(change(room(.v9, ["ban": 60])) { $0["ban"] = "061" } == "10.6.1")
    }

    @Test func `entries of events and notifications move at or below the sender's own`() {
        for key in ["events", "notifications"] {
            let room = room(.v12, [key: ["x": 51, "y": 50]])
            #expect(change(room) { $0[key]?["x"] = 50 } == "10.7.1")
            #expect(change(room) { $0[key]?["x"] = nil } == "10.7.1")
            #expect(change(room) { $0[key] = nil } == "10.7.1")
            #expect(change(room) { $0[key]?["y"] = 51 } == "10.8.1")
            #expect(change(room) { $0[key]?["z"] = 51 } == "10.8.1")
            #expect(change(room) { $0[key]?["y"] = nil } == nil)
            #expect(change(room) { $0[key]?["z"] = 50 } == nil)
            #expect(change(room, by: .alice) { $0[key] = ["x": 9_000] } == nil)
        }
    }

    @Test func `before version 6 notifications are anybody's`() {
        #expect(change(room(.v5)) { $0["notifications"] = ["room": 51] } == nil)
        #expect(change(room(.v6)) { $0["notifications"] = ["room": 51] } == "10.8.1")
        #expect(change(room(.v5)) { $0["events"] = ["x": 51] } == "10.8.1")
    }

    @Test func `users at or above the sender's level stay`() {
        let room = room(.v11, ["users": ["@carol:one.test": 50, "@mallory:three.test": 49]])
        #expect(change(room) { $0["users"]?["@carol:one.test"] = 49 } == "10.9.1")
        #expect(change(room) { $0["users"]?["@carol:one.test"] = nil } == "10.9.1")
        #expect(change(room) { $0["users"]?["@mallory:three.test"] = 10 } == nil)
        #expect(change(room) { $0["users"]?["@mallory:three.test"] = nil } == nil)
    }

    @Test func `the sender may step down but not up, nor lift another above`() {
        let room = room(.v11)
        #expect(change(room) { $0["users"]?["@bob:two.test"] = 10 } == nil)
        #expect(change(room) { $0["users"]?["@bob:two.test"] = nil } == nil)
        #expect(change(room) { $0["users"]?["@bob:two.test"] = 51 } == "10.10.1")
        #expect(change(room) { $0["users"]?["@carol:one.test"] = 51 } == "10.10.1")
        #expect(change(room) { $0["users"]?["@carol:one.test"] = 50 } == nil)
    }

    @Test func `a creator of version 12 may give any level`() {
        #expect(change(room(.v12), by: .alice) { $0["users"]?["@carol:one.test"] = 9_007_199_254_740_991 } == nil)
        #expect(change(room(.v11), by: .alice) { $0["users"]?["@carol:one.test"] = 101 } == "10.10.1")
    }

    @Test func `levels for the old room are read by its version`() {
        #expect(change(room(.v5)) { $0["users"]?["@carol:one.test"] = .number(50.9) } == nil)
        #expect(change(room(.v5)) { $0["users"]?["@carol:one.test"] = .number(51.1) } == "10.10.1")
    }
}
