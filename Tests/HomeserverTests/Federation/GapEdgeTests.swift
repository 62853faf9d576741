import HTTPMessages
import HTTPTypes
import Homeserver
import MatrixModel
import Testing

/// Where a page, or the timeline of a sync, ends just at a gap in what a server holds.
@Suite("Edges of gaps") struct GapEdgeTests {
    @Test(arguments: [(1, false), (4, false), (1, true), (50, true)])
    func `what is missing behind a page or a timeline is read where it belongs`(
        limit: Int, syncs: Bool
    ) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            try await servers.alice.say("before", room)
            try await eventually { try await servers.b.messages(room) == ["before"] }
            let filter = percent(#"{"room":{"timeline":{"limit":20}}}"#)
            let first = try await servers.bob.ask(.get, "/_matrix/client/v3/sync?timeout=0&filter=\(filter)")
            try await servers.leaveGap(in: room)
            var texts: [String] = []
            var from: String?
            if syncs {
                let next = first["next_batch"]?.string ?? ""
                let second = try await servers.bob.ask(
                    .get, "/_matrix/client/v3/sync?timeout=0&filter=\(filter)&since=\(next)")
                let timeline = second["rooms"]?["join"]?[room.text]?["timeline"]
                texts = (timeline?["events"]?.elements ?? []).reversed().compactMap { $0["content"]?["body"]?.string }
                #expect(timeline?["limited"] == true)
                from = timeline?["prev_batch"]?.string
            }
            for _ in 0..<60 {
                let answer = try await servers.bob.ask(
                    .get,
                    "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=b&limit=\(limit)"
                        + (from.map { "&from=\(percent($0))" } ?? ""))
                texts += (answer["chunk"]?.array ?? []).compactMap { $0["content"]?["body"]?.string }
                guard let next = answer["end"]?.string, next != from, !texts.contains("before") else { break }
                from = next
            }
            #expect(texts == ["last"] + (0..<20).reversed().map(String.init) + ["before"])
        }
    }
}
