import Foundation
import HomeserverStorage
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Checking a room") struct RoomCheckTests {
    /// A room with a bit of everything: members, changed state, messages, a redaction.
    private struct Scene {
        let server: RoomFixture
        let room: RoomRecord
        let message: StoredEvent
        let redacted: StoredEvent
        let topic: StoredEvent
        let last: StoredEvent

        init(_ version: RoomVersion = .v12) async throws {
            let server = try await RoomFixture()
            let made = try await server.room(version)
            try await server.join(RoomFixture.bob, made.id)
            message = try await server.message("hello", made.id)
            let redacted = try await server.message("oops", made.id, by: RoomFixture.bob)
            func topic(_ text: String) -> EventDraft {
                EventDraft(
                    type: .topic, sender: RoomFixture.alice, stateKey: "", content: ["topic": .string(text)],
                    roomID: made.id)
            }
            _ = try await server.writer.send(topic("one"))
            self.topic = try await server.writer.send(topic("two"))
            _ = try await server.writer.send(
                EventDraft(
                    type: .redaction, sender: RoomFixture.alice, content: [:], roomID: made.id, redacts: redacted.id))
            last = try await server.message("last", made.id, by: RoomFixture.bob)
            room = try #require(try await server.reader.record(made.id))
            (self.server, self.redacted) = (server, redacted)
        }

        func check() async throws -> RoomCheckReport {
            try #require(try await RoomCheck(server.environment).check(room.id))
        }

        func change(_ statement: SQL) async throws {
            let changed = try await server.environment.database.write { try $0.execute(statement) }
            #expect(changed > 0, "nothing was changed")
        }

        /// Writes a body anew, with some text in it replaced.
        func rewrite(_ event: StoredEvent, _ old: String, _ new: String) async throws {
            let text = String(decoding: event.pdu.canonicalJSON, as: UTF8.self)
            #expect(text.contains(old))
            let body = [0] + Array(text.replacing(old, with: new, maxReplacements: 1).utf8)
            try await change("UPDATE events SET body = \(body) WHERE event_nid = \(event.nid)")
        }
    }

    @Test(arguments: RoomVersion.all) func `a room that nobody touched agrees`(_ version: RoomVersion) async throws {
        let scene = try await Scene(version)
        let report = try await scene.check()
        #expect(report.differences == [] && report.agrees)
        #expect(report.events == 12 && report.inTimeline == 12 && report.redacted == 1 && report.outliers == 0)
        #expect(try await RoomCheck(scene.server.environment).check(RoomID("!nobody:test")) == nil)
    }

    /// What is done to the database, and what must be found.
    private struct Tampering: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let kind: RoomCheckReport.Kind
        let change: @Sendable (Scene) async throws -> Void

        init(
            _ description: String, _ kind: RoomCheckReport.Kind,
            _ change: @escaping @Sendable (Scene) async throws -> Void
        ) {
            (testDescription, self.kind, self.change) = (description, kind, change)
        }
    }

    private static let bodies: [Tampering] = [
        Tampering("a body that nobody can open", .bodyUnreadable) {
            try await $0.change("UPDATE events SET body = \([9, 9] as [UInt8]) WHERE event_nid = \($0.message.nid)")
        },
        Tampering("a body that is no event", .malformed) {
            try await $0.change(
                "UPDATE events SET body = \([0, 0x7B, 0x7D] as [UInt8]) WHERE event_nid = \($0.message.nid)")
        },
        Tampering("another sender in the body", .eventID) {
            try await $0.rewrite($0.message, "\"sender\":\"@alice:test\"", "\"sender\":\"@mallo:test\"")
        },
        Tampering("another text", .contentHash) { try await $0.rewrite($0.message, "hello", "hullo") },
        Tampering("a blank", .notCanonical) { try await $0.rewrite($0.message, "{\"", "{ \"") },
        Tampering("another signature", .signature) { scene in
            let text = try #require(scene.message.pdu.signatures?["test"]?["ed25519:a"]?.string)
            let other = String(text.dropLast(2).reversed()) + text.suffix(2)
            try await scene.rewrite(scene.message, text, other)
        },
        Tampering("a whole body again where a redaction was", .redaction) { scene in
            let body = [0] + scene.redacted.pdu.canonicalJSON
            try await scene.change("UPDATE events SET body = \(body) WHERE event_nid = \(scene.redacted.nid)")
        },
        Tampering("a redaction of nobody's", .redaction) {
            try await $0.change(
                "UPDATE events SET redacted_by = \($0.message.id.text) WHERE event_nid = \($0.redacted.nid)")
        },
    ]

    private static let columns: [Tampering] = [
        Tampering("another type in the column", .columns) {
            try await $0.change("UPDATE events SET type = 'm.other' WHERE event_nid = \($0.message.nid)")
        },
        Tampering("another time in the column", .columns) {
            try await $0.change("UPDATE events SET origin_server_ts = 7 WHERE event_nid = \($0.message.nid)")
        },
        Tampering("an auth edge less", .authEdges) {
            try await $0.change("DELETE FROM auth_edges WHERE event_nid = \($0.topic.nid)")
        },
        Tampering("an event marked as rejected", .verdict) {
            try await $0.change("UPDATE events SET flags = 2, position = NULL WHERE event_nid = \($0.message.nid)")
        },
        Tampering("an event without a place", .place) {
            try await $0.change("UPDATE events SET position = NULL WHERE event_nid = \($0.message.nid)")
        },
        Tampering("another state after an event", .stateAfter) { scene in
            let root = try #require(scene.message.stateAfter)
            try await scene.change("UPDATE events SET state_after = \(root.bytes) WHERE event_nid = \(scene.last.nid)")
        },
        Tampering("a state node that says something else", .stateUnreadable) { scene in
            let root = try #require(scene.message.stateAfter)
            try await scene.change(
                "UPDATE state_nodes SET body = \([0, 0] as [UInt8]) WHERE hash = \(root.bytes)")
        },
        Tampering("a state node less", .stateUnreadable) {
            try await $0.change("DELETE FROM state_nodes WHERE hash = \($0.room.state.bytes)")
        },
        Tampering("another event that was replaced", .replaces) {
            try await $0.change("UPDATE events SET replaces = NULL WHERE event_nid = \($0.topic.nid)")
        },
        Tampering("an event less", .backwardExtremities) {
            try await $0.change("DELETE FROM events WHERE event_nid = \($0.message.nid)")
        },
    ]

    private static let heads: [Tampering] = [
        Tampering("an older event as the newest", .extremities) { scene in
            let packed = UInt8(scene.message.nid)
            try await scene.change(
                "UPDATE rooms SET extremities = \([packed]) WHERE room_nid = \(scene.room.nid)")
        },
        Tampering("another depth", .extremities) {
            try await $0.change("UPDATE rooms SET depth = 99 WHERE room_nid = \($0.room.nid)")
        },
        Tampering("an older state as the current one", .currentState) { scene in
            let root = try #require(scene.message.stateAfter)
            try await scene.change("UPDATE rooms SET state = \(root.bytes) WHERE room_nid = \(scene.room.nid)")
        },
        Tampering("a member more", .members) {
            try await $0.change(
                "UPDATE room_members SET user_id = '@eve:test' WHERE user_id = '@bob:test' AND room_nid = \($0.room.nid)"
            )
        },
        Tampering("a member less", .members) {
            try await $0.change("DELETE FROM room_members WHERE user_id = '@bob:test'")
        },
        Tampering("another membership", .members) {
            try await $0.change("UPDATE room_members SET membership = 'ban' WHERE user_id = '@bob:test'")
        },
        Tampering("another name", .members) {
            try await $0.change("UPDATE room_members SET displayname = 'Eve' WHERE user_id = '@alice:test'")
        },
        Tampering("a gap that is none", .backwardExtremities) {
            try await $0.change(
                """
                INSERT INTO backward_extremities (room_nid, event_id) VALUES (\($0.room.nid), \($0.message.id.text))
                """)
        },
        Tampering("another version", .room) {
            try await $0.change("UPDATE rooms SET version = '11' WHERE room_nid = \($0.room.nid)")
        },
    ]

    @Test(arguments: bodies + columns + heads) private func `tampering is named`(_ tampering: Tampering) async throws {
        let scene = try await Scene()
        try await tampering.change(scene)
        let report = try await scene.check()
        #expect(report.counts[tampering.kind] ?? 0 > 0, "\(report.differences)")
        #expect(!report.agrees)
    }

    @Test func `one other state is told once, and what follows is only counted`() async throws {
        let scene = try await Scene()
        for number in 0..<20 { _ = try await scene.server.message("\(number)", scene.room.id) }
        let root = try #require(scene.message.stateAfter)
        try await scene.change(
            "UPDATE events SET state_after = \(root.bytes) WHERE event_nid > \(scene.topic.nid)")
        let report = try await scene.check()
        #expect(report.counts[.stateAfter] == 1 && report.following == 21)
        #expect(report.differences.contains { $0.detail.contains("m.room.topic") })
        // Who trusts what is stored would not see it, had the room's own row been changed along with it.
        try await scene.change("UPDATE rooms SET state = \(root.bytes) WHERE room_nid = \(scene.room.nid)")
        #expect(try await scene.check().counts[.currentState] == 1)
    }

    @Test func `an event of another room is found`() async throws {
        let scene = try await Scene()
        let other = try await scene.server.room()
        try await scene.change("UPDATE events SET room_nid = \(other.nid) WHERE event_nid = \(scene.last.nid)")
        let report = try #require(try await RoomCheck(scene.server.environment).check(other.id))
        #expect(report.counts[.otherRoom] == 1)
    }

    @Test func `an event that the rules forbid is found`() async throws {
        let scene = try await Scene()
        // Alice never said who may speak; now it reads as if Bob had not joined when he spoke.
        let key = StateKey(.member, RoomFixture.bob.text)
        let room = scene.room
        let join = try #require(try await scene.server.reader.state(at: room.state, keys: [key])[key])
        try await scene.change("UPDATE events SET flags = 2, position = NULL WHERE event_nid = \(join.nid)")
        let after = try await scene.check()
        // The join should not be rejected, and all that Bob did later stands on it.
        #expect(after.counts[.verdict] == 3)
    }

    @Test func `the graph is drawn, in both ways, and foreign text harms neither`() async throws {
        let scene = try await Scene()
        let evil = "\"]; } </svg><script>alert(1)</script>\\ \u{202E}"
        let strange = try await scene.server.writer.send(
            EventDraft(
                type: EventType("x.\"<&>"), sender: RoomFixture.alice, stateKey: evil, content: ["body": "a secret"],
                roomID: scene.room.id))
        let graph = try #require(try await RoomGraph.read(scene.room.id, limit: 5, scene.server.environment))
        #expect(graph.nodes.count == 5 && graph.nodes.last?.id == strange.id)
        #expect(graph.nodes.last?.isExtremity == true && graph.stateCount == 8)
        let (svg, dot) = (graph.svg(), graph.dot(auth: true))
        for text in [svg, dot] {
            #expect(text.contains(strange.id.text) && !text.contains("a secret") && !text.contains("\u{202E}"))
        }
        #expect(!svg.contains("<script>") && svg.contains("&lt;script&gt;"))
        #expect(svg.components(separatedBy: "</svg>").count == 2)
        #expect(dot.hasPrefix("digraph room {") && dot.contains("\\\"]; }"))
        // Time goes down: an event is below those before it.
        let places = graph.layout()
        for node in graph.nodes {
            for before in node.before.compactMap({ places[$0] }) {
                let row = try #require(places[node.id]?.row)
                #expect(row > before.row)
            }
        }
    }
}
