import MatrixAPI
import MatrixModel
import Testing

@testable import Homeserver

@Suite("Sliding sync: filters") struct SlidingFilterTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob

    @Test(arguments: [SlidingShape.simplified, .stable])
    func `a list shows the rooms that its filters let through`(_ shape: SlidingShape) async throws {
        let server = try await SyncServer()
        let plain = try await server.room(named: "Plain tea", with: [bob])
        let sealed = try await server.room(named: "Sealed", with: [bob])
        try await server.state(.encryption, ["algorithm": "m.megolm.v1.aes-sha2"], sealed)
        let direct = try await server.room(with: [bob])
        try await server.setAccountData("m.direct", ["@alice:test": [.string(direct.text)]], of: bob)
        let tagged = try await server.room(named: "Tagged", with: [bob])
        try await server.setAccountData("m.tag", ["tags": ["m.favourite": [:], "u.work": [:]]], of: bob, room: tagged)
        let replaced = try await server.room(named: "Replaced", with: [bob])
        try await server.state(.tombstone, ["body": "moved", "replacement_room": .string(plain.text)], replaced)
        let invited = try await server.room(named: "Invited")
        try await server.set(.invite, bob, invited, by: alice)
        let all = Set([plain, sealed, direct, tagged, replaced, invited].map(\.text))

        func shown(_ filters: JSONValue) async throws -> Set<String> {
            var client = SlidingClient(server, bob, shape)
            client.follow(limit: 0, filters: filters)
            let answer = try await client.sync()
            #expect(answer.roomCount == Int64(answer.slidingRooms.count))
            return answer.slidingRooms
        }
        let isInvite = shape == .stable ? "is_invited" : "is_invite"
        #expect(try await shown([:]) == all)
        #expect(try await shown(["is_encrypted": true]) == [sealed.text])
        #expect(try await shown(["is_encrypted": false]) == all.subtracting([sealed.text]))
        #expect(try await shown(["is_dm": true]) == [direct.text])
        #expect(try await shown(["is_dm": false]) == all.subtracting([direct.text]))
        #expect(try await shown(.object([isInvite: true])) == [invited.text])
        #expect(try await shown(.object([isInvite: false])) == all.subtracting([invited.text]))
        #expect(try await shown(["tags": ["u.work", "u.none"]]) == [tagged.text])
        #expect(try await shown(["not_tags": ["u.work"]]) == all.subtracting([tagged.text]))
        #expect(try await shown(["tags": ["u.work"], "not_tags": ["m.favourite"]]) == [])
        #expect(try await shown(["room_types": [nil]]) == all)
        #expect(try await shown(["room_types": ["m.space"]]) == [])
        #expect(try await shown(["not_room_types": [nil]]) == [])
        #expect(try await shown(["not_room_types": ["m.space"]]) == all)
        if shape == .simplified {
            #expect(try await shown(["room_name_like": "TEA"]) == [plain.text])
            #expect(try await shown(["is_tombstoned": true]) == [replaced.text])
            #expect(try await shown(["is_tombstoned": false]) == all.subtracting([replaced.text]))
        }
        #expect(try await shown(["is_dm": false, "is_encrypted": true]) == [sealed.text])
    }

    @Test func `a space shows its own rooms, to those who are in it`() async throws {
        let server = try await SyncServer()
        let space = try await server.room(named: "Space", with: [bob])
        let child = try await server.room(named: "Child", with: [bob])
        let former = try await server.room(named: "Former", with: [bob])
        _ = try await server.room(named: "Other", with: [bob])
        let contents: [(RoomID, JSONValue)] = [(child, ["via": ["test"]]), (former, [:])]
        for (room, content) in contents {
            try await server.writer.send(
                EventDraft(type: .spaceChild, sender: alice, stateKey: room.text, content: content, roomID: space))
        }
        var client = SlidingClient(server, bob)
        client.follow(filters: ["spaces": [.string(space.text), "!unknown:test"]])
        #expect(try await client.sync().slidingRooms == [child.text])
        try await server.set(.leave, bob, space)
        client.pos = nil
        #expect(try await client.sync().slidingRooms == [])
    }

    @Test func `a room is direct as the account data says, when that changes too`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        for shape in [SlidingShape.simplified, .stable] {
            var client = SlidingClient(server, bob, shape)
            client.follow()
            #expect(try await client.sync().sliding(room)?["is_dm"] == nil)
            try await server.setAccountData("m.direct", ["@alice:test": [.string(room.text)]], of: bob)
            #expect(try await client.sync().sliding(room)?["is_dm"] == true)
            #expect(try await client.sync().slidingRooms == [])
            client.pos = nil
            #expect(try await client.sync().sliding(room)?["is_dm"] == true)
            try await server.setAccountData("m.direct", [:], of: bob)
            #expect(try await client.sync().sliding(room)?["is_dm"] == false)
        }
    }
}
