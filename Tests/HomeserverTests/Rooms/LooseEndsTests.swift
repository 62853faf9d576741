import HomeserverStorage
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Newest events, sent once more") struct LooseEndsTests {
    @Test func `more servers than one write takes are all told of our newest event, and this one is not`() async throws
    {
        let server = try await RoomFixture()
        let room = try await server.room()
        let message = try await server.message("hello", room.id)
        let others = try (0...2 * RoomLimits.serversToldAtOnce).map { try ServerName("s\($0).test") }

        try await server.writer.sendEnds(of: room.id, to: others + [server.environment.serverName])

        let (waiting, own) = try await server.environment.database.read { connection in
            let outbox = Outbox(connection)
            return (
                try others.map { try outbox.pendingPDUs(for: $0.text, limit: 10).map(\.eventNID) },
                try outbox.pendingPDUs(for: server.environment.serverName.text, limit: 10)
            )
        }
        #expect(waiting == others.map { _ in [message.nid] })
        #expect(own.isEmpty)
    }
}
