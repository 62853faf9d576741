import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@Suite("For which joins is waited") struct JoiningRoomsTests {
    @Test func `what is sent for a room waits for one join, and for none in the minute after it`() async throws {
        let database = try await RoomFixture().environment.database
        let (room, other) = (try RoomID("!a:far.test"), try RoomID("!b:far.test"))
        func waits(_ rooms: [RoomID], at now: Int64) async throws -> Bool {
            try await database.read { try JoiningRooms($0).contains(anyOf: rooms.map(\.text), now: now) }
        }
        func begin(_ attempt: String, at now: Int64) async throws {
            try await database.write { try JoiningRooms($0).begin(room, attempt: attempt, now: now, until: now + 20) }
        }
        try await begin("1", at: 1_000)
        #expect(try await waits([other, room], at: 1_019))
        #expect(try await !waits([other], at: 1_019))
        #expect(try await !waits([room], at: 1_020))
        // Another join meanwhile makes it no longer, and its failure no shorter.
        try await begin("2", at: 1_010)
        try await database.write { try JoiningRooms($0).end(room, attempt: "2", now: 1_011) }
        #expect(try await waits([room], at: 1_012))
        #expect(try await !waits([room], at: 1_020))
        try await begin("3", at: 61_020)
        #expect(try await !waits([room], at: 61_021))
        // After the minute for a new one, until that fails.
        try await begin("4", at: 61_021)
        #expect(try await waits([room], at: 61_022))
        try await database.write { try JoiningRooms($0).end(room, attempt: "4", now: 61_023) }
        #expect(try await !waits([room], at: 61_023))
        // Or until the room is here, whoever joined it.
        try await begin("5", at: 200_000)
        try await database.write { try JoiningRooms($0).end(room, attempt: nil, now: 200_001) }
        #expect(try await !waits([room], at: 200_001))
    }
}
