import Cryptography
import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

/// What a server of evil intent, or none at all, can and cannot do to a room.
@Suite("Another server's doings") struct HostileServerTests {
    /// A room on `a.test` with Alice, and Mallory of a handmade server.
    struct Scene {
        let servers: TwoServers
        let mallory: UserID
        let evil: HandmadeServer
        let room: RoomID
        let join: PDU
        let state: [PDU]

        var version: RoomVersion { join.version }

        func authorizing(_ types: [EventType] = [.create, .powerLevels]) -> [PDU] {
            state.filter { event in
                types.contains(event.type) && event.stateKey == ""
                    && !(event.type == .create && version.rules.roomIDIsCreateEventHash)
            } + [join]
        }

        func message(_ text: String, after prev: [PDU]? = nil, auth: [PDU]? = nil) throws -> PDU {
            try evil.event(
                "m.room.message", by: mallory, ["body": .string(text)], in: room, version: version,
                after: prev ?? [join],
                auth: auth ?? authorizing())
        }

        /// Waits until an event of a.test's has been judged.
        func judged(_ id: EventID) async throws -> StoredEvent {
            try await eventually { try await servers.a.event(id).map { !$0.flags.contains(.outlier) } ?? false }
            return try #require(try await servers.a.event(id))
        }

        /// Waits until nothing waits to be judged.
        func settled() async throws {
            try await eventually {
                try await servers.a.environment.database.read {
                    try $0.query("SELECT 1 FROM inbound_staging LIMIT 1").isEmpty
                }
            }
        }
    }

    static func play(
        _ version: String = "11", _ configure: (inout HomeserverConfiguration) -> Void = { _ in },
        _ test: (Scene) async throws -> Void
    ) async throws {
        try await TwoServers.run(configure) { servers in
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let mallory = try UserID("@mallory:evil.test")
            let room = try await servers.alice.createRoom(version)
            let (join, state) = try await evil.join(mallory, room, on: servers.a)
            try await test(
                Scene(servers: servers, mallory: mallory, evil: evil, room: room, join: join, state: state))
        }
    }

    @Test(arguments: ["1", "3", "11", "12"])
    func `a good event is taken, and a repeated transaction has the same answer`(_ version: String) async throws {
        try await Self.play(version) { scene in
            let good = try scene.message("good")
            let first = try await scene.evil.send([good.canonicalJSON], to: scene.servers.a, transaction: "t1")
            #expect(first.status == 200)
            #expect(first.body["pdus"]?[good.id.text]?.members.isEmpty == true)
            #expect(try await scene.judged(good.id).flags == [])
            #expect(try await scene.servers.a.messages(scene.room) == ["good"])
            let other = try scene.message("other", after: [good])
            let again = try await scene.evil.send([other.canonicalJSON], to: scene.servers.a, transaction: "t1")
            #expect(JSONValue(again.body) == JSONValue(first.body))
            try await scene.settled()
            #expect(try await scene.servers.a.event(other.id) == nil)
        }
    }

    @Test func `unsigned and wrongly signed events are dropped`() async throws {
        try await Self.play { scene in
            let event = try scene.message("x")
            var unsigned = JSONValue(event.document.root)
            unsigned["signatures"] = [:]
            var wrong = JSONValue(event.document.root)
            wrong["signatures"] = [
                "evil.test": [
                    HandmadeServer.keyID: .string(Base64.encode([UInt8](repeating: 1, count: 64), .standardUnpadded))
                ]
            ]
            var unknown = JSONValue(event.document.root)
            unknown["signatures"] = ["evil.test": ["ed25519:none": "AAAA"]]
            for broken in [unsigned, wrong, unknown] {
                let answer = try await scene.evil.send([broken.serialized()], to: scene.servers.a)
                #expect(answer.status == 200)
                #expect(answer.body["pdus"]?[event.id.text]?["error"]?.string != nil)
            }
            // In another's name.
            var forged = JSONValue(event.document.root)
            forged["sender"] = .string(scene.servers.alice.user.text)
            try await scene.evil.send([forged.serialized()], to: scene.servers.a)
            try await scene.settled()
            #expect(try await scene.servers.a.messages(scene.room).isEmpty)
        }
    }

    @Test func `an event whose hash is wrong counts redacted`() async throws {
        try await Self.play { scene in
            let event = try scene.message("as it was")
            var changed = JSONValue(event.document.root)
            changed["content"] = ["body": "as it never was"]
            // The signature is over the redacted event, which has no body: it still holds.
            let answer = try await scene.evil.send([changed.serialized()], to: scene.servers.a)
            #expect(answer.body["pdus"]?[event.id.text] != nil)
            let stored = try await scene.judged(event.id)
            #expect(stored.pdu.content.members.isEmpty)
        }
    }

    @Test func `malformed events of every kind stall neither the transaction nor the room`() async throws {
        try await Self.play { scene in
            let good = try scene.message("still here")
            let garbage = [
                "{}", #"{"room_id":"!x"}"#, "1", "null", "[]", #"{"room_id":"\#(scene.room.text)"}"#,
                #"{"room_id":"\#(scene.room.text)","type":"m.room.message","sender":"mallory","content":[]}"#,
            ].map { Array($0.utf8) }
            let answer = try await scene.evil.send(garbage + [good.canonicalJSON], to: scene.servers.a)
            #expect(answer.status == 200)
            #expect(try await scene.judged(good.id).flags == [])
            for edu: JSONValue in [[:], 1, ["edu_type": "m.typing"], ["edu_type": "m.receipt", "content": ["!x": 1]]] {
                #expect(try await scene.evil.send([], edus: [edu], to: scene.servers.a).status == 200)
            }
        }
    }

    @Test func `an event that builds on what nobody has holds up nobody else`() async throws {
        try await Self.play { scene in
            let ghost = try scene.message("ghost")
            let lost = try scene.message("lost", after: [ghost])
            let orphan = try scene.message("orphan", auth: scene.authorizing() + [ghost])
            let good = try scene.message("good")
            try await scene.evil.send([lost, orphan, good].map(\.canonicalJSON), to: scene.servers.a)
            #expect(try await scene.judged(good.id).flags == [])
            #expect(try await scene.servers.a.messages(scene.room) == ["good"])
            #expect(try await scene.servers.a.event(orphan.id) == nil)
        }
    }

    @Test func `what the rules forbid is rejected, and what follows it is judged all the same`() async throws {
        try await Self.play { scene in
            let coup = try scene.evil.event(
                "m.room.power_levels", by: scene.mallory, stateKey: "", ["users": [.init(scene.mallory.text): 100]],
                in: scene.room, version: scene.version, after: [scene.join], auth: scene.authorizing())
            let after = try scene.message("after", after: [coup])
            try await scene.evil.send([coup, after].map(\.canonicalJSON), to: scene.servers.a)
            #expect(try await scene.judged(coup.id).flags == .rejected)
            #expect(try await scene.judged(after.id).flags == [])
            let levels = try #require(try await scene.servers.a.state(scene.room)[StateKey(.powerLevels, "")])
            #expect(levels != coup.id)
        }
    }

    @Test func `who is banned cannot speak from the past`() async throws {
        try await Self.play { scene in
            try await scene.servers.alice.act("ban", scene.room, on: scene.mallory)
            let late = try scene.message("from before the ban", after: [scene.join])
            try await scene.evil.send([late.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(late.id).flags == .softFailed)
            #expect(try await scene.servers.a.messages(scene.room).isEmpty)
            let next = try await scene.servers.alice.say("next", scene.room)
            #expect(try await scene.servers.a.event(next)?.pdu.prevEvents.contains(late.id) == false)
        }
    }

    @Test func `a second beginning of the room is refused`() async throws {
        try await Self.play("6") { scene in
            let root = try scene.evil.event(
                "m.room.message", by: scene.mallory, ["body": "from nothing"], in: scene.room, version: scene.version,
                after: [], auth: scene.authorizing())
            try await scene.evil.send([root.canonicalJSON], to: scene.servers.a)
            try await scene.settled()
            #expect(try await scene.servers.a.event(root.id) == nil)
        }
    }

    @Test func `a server that the access list forbids gets and gives nothing`() async throws {
        try await Self.play { scene in
            try await scene.servers.alice.set(
                "m.room.server_acl", ["allow": ["*"], "deny": ["EVIL.test"], "allow_ip_literals": true], scene.room)
            let event = try scene.message("x")
            let answer = try await scene.evil.send([event.canonicalJSON], to: scene.servers.a)
            #expect(answer.body["pdus"]?[event.id.text]?["error"]?.string != nil)
            let path =
                "/_matrix/federation/v1/state_ids/\(percent(scene.room.text))?event_id=\(percent(scene.join.id.text))"
            #expect(try await scene.evil.ask(scene.servers.a, .get, path).status == 403)
        }
    }

    @Test(arguments: [false, true])
    func `typing and reading are heard of a server, but for one that the access list forbids`(
        isForbidden: Bool
    ) async throws {
        try await Self.play { scene in
            if isForbidden {
                try await scene.servers.alice.set(
                    "m.room.server_acl", ["allow": ["*"], "deny": ["evil.test"], "allow_ip_literals": true], scene.room)
            }
            let room = scene.room.text
            let receipt: JSONValue = ["event_ids": [.string(scene.join.id.text)], "data": ["ts": 1]]
            _ = try await scene.evil.send(
                [],
                edus: [
                    [
                        "edu_type": "m.typing",
                        "content": [
                            "room_id": .string(room), "user_id": .string(scene.mallory.text), "typing": true,
                        ],
                    ],
                    [
                        "edu_type": "m.receipt",
                        "content": .object([room: ["m.read": .object([scene.mallory.text: receipt])]]),
                    ],
                ], to: scene.servers.a)

            let sync = try await scene.servers.alice.ask(.get, "/_matrix/client/v3/sync")
            let events = sync["rooms"]?["join"]?[room]?["ephemeral"]?["events"]?.elements ?? []
            let isTyping = events.contains { $0["content"]?["user_ids"]?.elements == [.string(scene.mallory.text)] }
            let hasRead = events.contains {
                $0["content"]?[scene.join.id.text]?["m.read"]?[scene.mallory.text] != nil
            }
            #expect(isTyping == !isForbidden)
            #expect(hasRead == !isForbidden)
        }
    }

    @Test func `a server that is not in the room learns nothing of it`() async throws {
        try await Self.play { scene in
            let stranger = try HandmadeServer("stranger.test", on: scene.servers.network)
            let room = percent(scene.room.text)
            let event = percent(scene.join.id.text)
            for path in [
                "state/\(room)?event_id=\(event)", "state_ids/\(room)?event_id=\(event)", "event/\(event)",
                "event_auth/\(room)/\(event)", "backfill/\(room)?v=\(event)&limit=5",
            ] {
                #expect(try await stranger.ask(scene.servers.a, .get, "/_matrix/federation/v1/\(path)").status == 403)
            }
        }
    }
}
