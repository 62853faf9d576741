import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Reports") struct ReportTests {
    private func reports(_ server: TestHomeserver) async throws -> [ReportStore.Report] {
        try await server.environment.database.read { try ReportStore($0, .plain).list(limit: 1_000) }
    }

    private func status(_ work: () async throws -> JSONValue) async -> Int {
        do {
            _ = try await work()
            return 200
        } catch let error as MatrixError { return error.status } catch { return 0 }
    }

    @Test(arguments: TestStore.available)
    func `an event is reported by who is joined and can see it, and by nobody else`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            let server = try await TestHomeserver("a.test", on: LoopNetwork(), database: database)
            let (alice, bob) = (try await server.register("alice"), try await server.register("bob"))
            let room = try await alice.createRoom("12")
            let event = try await alice.say("bad", room)
            let path = "/_matrix/client/v3/rooms/\(percent(room.text))/report/\(percent(event.text))"
            #expect(await status { try await bob.ask(.post, path, ["reason": "not my room"]) } == 404)
            #expect(try await reports(server).isEmpty)
            try await bob.join(room, via: server)
            #expect(await status { try await bob.ask(.post, path, ["reason": "it is bad", "score": -100]) } == 200)
            #expect(await status { try await bob.ask(.post, path, [:]) } == 200)
            #expect(
                await status {
                    try await bob.ask(
                        .post, "/_matrix/client/v3/rooms/\(percent(room.text))/report/%24nothing", ["reason": ""])
                } == 404)
            try await bob.act("leave", room)
            #expect(await status { try await bob.ask(.post, path, [:]) } == 404)
            let found = try await reports(server)
            #expect(found.map(\.reason) == ["", "it is bad"])
            #expect(found.allSatisfy { $0.event == event && $0.room == room && $0.reporter == bob.user })
            let nid = try #require(found.first?.nid)
            #expect(try await database.write { try ReportStore($0, .plain).dismiss(nid) })
            #expect(try await database.write { try !ReportStore($0, .plain).dismiss(nid) })
            #expect(try await database.read { try ReportStore($0, .plain).report(nid) } == nil)
        }
    }

    @Test func `rooms and users may be reported by anybody, and whether they exist is not told`() async throws {
        let server = try await TestHomeserver("a.test", on: LoopNetwork())
        let (alice, bob) = (try await server.register("alice"), try await server.register("bob"))
        let room = try await alice.createRoom("12")
        for (path, expected) in [
            ("rooms/\(percent(room.text))/report", 200), ("rooms/!nothing/report", 200),
            ("users/\(percent(alice.user.text))/report", 200), ("users/%40nobody%3Aa.test/report", 200),
            ("users/%40somebody%3Aelsewhere.test/report", 200), ("users/nobody/report", 400),
        ] {
            let answer = await status { try await bob.ask(.post, "/_matrix/client/v3/" + path, ["reason": "why"]) }
            #expect(answer == expected, "\(path)")
        }
        let found = try await reports(server).reversed()
        #expect(
            found.map { $0.room?.text ?? $0.user?.text } == [room.text, alice.user.text, "@somebody:elsewhere.test"])
        let path = "/_matrix/client/v3/users/\(percent(alice.user.text))/report"
        #expect(await status { try await bob.ask(.post, path, [:]) } == 400)
        #expect(
            await status { try await bob.ask(.post, path, ["reason": .string(String(repeating: "x", count: 5_000))]) }
                == 400)
    }

    @Test func `one user's many reports do not push out those of others`() async throws {
        let server = try await TestHomeserver("a.test", on: LoopNetwork())
        let (alice, bob) = (try UserID("@alice:a.test"), try UserID("@bob:a.test"))
        try await server.environment.database.write { connection in
            let store = ReportStore(connection, .plain)
            try store.add(.init(created: 1, reporter: alice, user: bob, reason: "first"))
            for number in 0..<300 {
                try store.add(.init(created: 2, reporter: bob, user: alice, reason: "\(number)"))
            }
        }
        let found = try await reports(server)
        #expect(found.count == 201)
        #expect(found.last?.reason == "first")
        #expect(found.first?.reason == "299")
    }
}
