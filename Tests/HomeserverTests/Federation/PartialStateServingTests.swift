import HTTPTypes
import Homeserver
import MatrixModel
import MatrixRooms
import Testing

@Suite("A join without the room's members") struct PartialStateServingTests {
    private struct Answer {
        var state: [PDU]
        var chain: [PDU]
        var body: JSONView
    }

    /// Alice's room with some members of hers, and what a server is answered that joins it.
    private func answer(
        _ version: String = "12", room: [String: JSONValue], members: Int = 60, query: String = "?omit_members=true",
        _ check: (Answer, TwoServers, HandmadeServer, RoomID) async throws -> Void
    ) async throws {
        try await TwoServers.run { servers in
            let id = try await servers.alice.createRoom(version, room)
            try await servers.a.fill(id, members)
            let handmade = try HandmadeServer("h.test", on: servers.network)
            let (join, sent) = try await handmade.sendJoin(
                UserID("@eve:h.test"), id, on: servers.a, query: query)
            #expect(sent.status == 200, "\(JSONValue(sent.body))")
            func pdus(_ key: String) throws -> [PDU] {
                try (sent.body[key]?.elements ?? []).map { try PDU(parsing: $0, version: join.version) }
            }
            try await check(
                Answer(state: try pdus("state"), chain: try pdus("auth_chain"), body: sent.body), servers, handmade, id)
        }
    }

    @Test(arguments: ["1", "6", "11", "12"])
    func `a named room's state has no members, and its auth chain has what the state refers to`(
        _ version: String
    ) async throws {
        try await answer(version, room: ["name": "Square"]) { answer, servers, _, room in
            #expect(answer.body["members_omitted"]?.bool == true)
            #expect(answer.body["servers_in_room"]?.elements.compactMap(\.string) == ["a.test"])
            let own = try await servers.a.state(room).filter { $0.key.type != .member }
            #expect(Set(answer.state.map(\.id)) == Set(own.values))
            let known = Set((answer.state + answer.chain).map(\.id))
            #expect((answer.state + answer.chain).allSatisfy { known.isSuperset(of: $0.authEvents) })
            let join = try PDU(parsing: try #require(answer.body["event"]), version: RoomVersion(version) ?? .v12)
            #expect(known.isSuperset(of: join.authEvents))
            // Nothing twice, and of the members only who made the room.
            #expect(known.count == answer.state.count + answer.chain.count)
            #expect(Set(answer.chain.filter { $0.type == .member }.compactMap(\.stateKey)) == ["@alice:a.test"])
        }
    }

    @Test func `a room without a name is told with the members who stand for it`() async throws {
        try await answer(room: [:]) { answer, _, _, _ in
            let members = answer.state.filter { $0.type == .member }.compactMap(\.stateKey)
            // Who came first.
            #expect(members.sorted() == ["@alice:a.test"] + (0..<4).map { "@member\($0):a.test" })
            let known = Set((answer.state + answer.chain).map(\.id))
            #expect((answer.state + answer.chain).allSatisfy { known.isSuperset(of: $0.authEvents) })
        }
    }

    @Test(arguments: ["", "?omit_members=false"])
    func `who does not ask for it gets all members`(_ query: String) async throws {
        try await answer(room: ["name": "Square"], query: query) { answer, _, _, _ in
            #expect(answer.body["members_omitted"]?.bool == false)
            #expect(answer.state.filter { $0.type == .member }.count == 61)
            #expect(answer.chain.contains { $0.type == .powerLevels })
        }
    }

    @Test func `few members are told at once`() async throws {
        try await answer(room: ["name": "Square"], members: 10) { answer, _, _, _ in
            #expect(answer.body["members_omitted"]?.bool == false)
            #expect(answer.state.filter { $0.type == .member }.count == 11)
        }
    }

    @Test func `the parameter is a boolean`() async throws {
        try await answer(room: [:], members: 0) { _, servers, handmade, room in
            let (_, sent) = try await handmade.sendJoin(
                UserID("@mallory:h.test"), room, on: servers.a, query: "?omit_members=yes")
            #expect(sent.status == 400 && sent.body["errcode"]?.string == "M_INVALID_PARAM")
        }
    }
}
