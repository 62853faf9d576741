import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("m.room.create authorization (rule 1)") struct CreateAuthorizationTests {
    /// The create event as stored bytes would have it, past the checks of the format.
    private func create(
        _ version: RoomVersion, _ change: (inout JSONValue) -> Void = { _ in }
    ) throws -> PDU {
        let event = TestRoom(version).create
        var value = JSONValue(event.document.root)
        change(&value)
        return try PDU(trusted: value.serialized(), id: event.id, roomID: event.roomID, version: version)
    }

    private func clause(_ event: PDU) -> String? {
        do throws(Rejection) {
            try authorize(event, given: RoomState(), by: event.version.rules, create: event)
            return nil
        } catch {
            return error.clause
        }
    }

    @Test(arguments: RoomVersion.all) func `a plain create event is allowed`(version: RoomVersion) throws {
        #expect(clause(try create(version)) == nil)
    }

    @Test(arguments: [RoomVersion.v1, .v12]) func `a create event that follows another is rejected`(
        version: RoomVersion
    ) throws {
        let reference: JSONValue = version.rules.eventIDIsSent ? ["$a:one.test", [:]] : "$a"
        #expect(clause(try create(version) { $0["prev_events"] = [reference] }) == "1.1")
    }

    @Test func `in version 12 it has no room id`() throws {
        #expect(clause(try create(.v12) { $0["room_id"] = "!room:one.test" }) == "1.2")
    }

    @Test(arguments: [RoomVersion.v1, .v11]) func `up to version 11 the room is named by the sender's server`(
        version: RoomVersion
    ) throws {
        let value = JSONValue(try create(version).document.root)
        let event = try PDU(
            trusted: value.serialized(), id: EventID("$x:one.test"), roomID: RoomID("!room:two.test"), version: version)
        #expect(clause(event) == "1.2")
    }

    @Test func `a room version that nobody knows is rejected, none is version 1`() throws {
        #expect(clause(try create(.v11) { $0["content"] = ["room_version": "99"] }) == "1.3")
        #expect(clause(try create(.v11) { $0["content"] = ["room_version": 11] }) == "1.3")
        #expect(clause(try create(.v11) { $0["content"] = [:] }) == nil)
    }

    @Test func `up to version 10 the creator is named`() throws {
        #expect(clause(try create(.v10) { $0["content"] = ["room_version": "10"] }) == "v1 1.4")
        #expect(clause(try create(.v11) { $0["content"] = ["room_version": "11"] }) == nil)
    }

    @Test func `from version 12 additional creators are users`() throws {
        func additional(_ version: RoomVersion, _ creators: JSONValue) throws -> String? {
            clause(try create(version) { $0["content"] = ["additional_creators": creators] })
        }
        #expect(try additional(.v12, ["@bob:two.test"]) == nil)
        #expect(try additional(.v12, []) == nil)
        for bad: JSONValue in ["@bob:two.test", ["bob"], [7], [nil], [:]] {
            #expect(try additional(.v12, bad) == "1.4")
            #expect(try additional(.v11, bad) == nil)
        }
    }
}
