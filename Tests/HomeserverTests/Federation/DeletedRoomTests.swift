import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Deleted rooms and old messages, over federation") struct DeletedRoomTests {
    @Test func `a room is deleted: the other server sees the leave, and it can be joined again unless it is refused`()
        async throws
    {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            try await servers.bob.say("hello", room)
            try await eventually { try await servers.a.messages(room) == ["hello"] }
            let token = try await servers.bob.ask(.get, "/_matrix/client/v3/sync")["next_batch"]?.string ?? ""

            var rooms = RoomAdministration(environment: servers.b.environment)
            // The server that runs does it.
            rooms.patience = .seconds(7_200)
            #expect(try await rooms.delete(room, isForced: false).failure != nil)
            #expect(try await rooms.delete(room, isForced: true).failure == nil)
            #expect(try await servers.b.reader.record(room) == nil)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            let answer = try await servers.bob.ask(.get, "/_matrix/client/v3/sync?since=\(percent(token))")
            #expect(answer["rooms"]?["leave"]?[room.text] != nil)

            try await servers.bob.join(room, via: servers.a)
            try await servers.bob.say("again", room)
            try await eventually { try await servers.a.messages(room) == ["hello", "again"] }
            try await servers.agree(room)

            try await rooms.setBlocked(true, room)
            _ = try await rooms.delete(room, isForced: true)
            await #expect(throws: MatrixError.self) { try await servers.bob.join(room, via: servers.a) }
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            await #expect(throws: MatrixError.self) {
                try await servers.alice.act("invite", room, on: servers.bob.user)
            }
        }
    }

    @Test func `what was taken out is not fetched again, and does not come back as news`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            for number in 0..<6 { try await servers.alice.say("\(number)", room) }
            try await eventually { try await servers.b.messages(room).count == 6 }
            try await eventually { try await servers.b.reader.record(room)?.isPartial == false }
            var rooms = RoomAdministration(environment: servers.b.environment)
            // The server that runs does it.
            rooms.patience = .seconds(7_200)
            let job = try await rooms.purgeHistory(room, HistoryCut(before: servers.b.environment.clock.now()))
            #expect(job.removed == 5)
            let page = try await servers.bob.ask(
                .get, "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=b&limit=50")
            let texts = (page["chunk"]?.array ?? []).compactMap { $0["content"]?["body"]?.string }
            #expect(texts == ["5"])
            #expect(try await servers.b.messages(room) == ["5"])
            #expect(try await servers.a.messages(room).count == 6, "the other server keeps what it has")
            try await servers.bob.say("6", room)
            try await servers.alice.say("7", room)
            try await eventually { try await servers.a.messages(room).count == 8 }
            try await eventually { try await servers.b.messages(room) == ["5", "6", "7"] }
            try await servers.agree(room)
        }
    }
}
