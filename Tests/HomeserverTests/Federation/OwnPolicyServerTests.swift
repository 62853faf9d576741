import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import Testing

/// `a.test` is the policy server of the rooms, `b.test` is none, and `evil.test` has a user in them.
@Suite("Being a policy server") struct OwnPolicyServerTests {
    private static let sign = "/_matrix/policy/v1/sign"

    private struct Play {
        let servers: TwoServers
        let evil: HandmadeServer
        let mallory: UserID
        let room: RoomID
        private let join: PDU
        private let auth: [PDU]

        init(_ servers: TwoServers, _ version: String) async throws {
            self.servers = servers
            evil = try HandmadeServer("evil.test", on: servers.network)
            mallory = try UserID("@mallory:evil.test")
            room = try await servers.sharedRoom(version)
            try await servers.alice.set("m.room.policy", try await Self.naming(servers.a), room)
            try await servers.agree(room)
            let (join, state) = try await evil.join(mallory, room, on: servers.a)
            self.join = join
            auth = state.filter { [EventType.create, .powerLevels].contains($0.type) } + [join]
            try await servers.agree(room)
        }

        /// What names a policy server, with what it tells of itself.
        static func naming(_ server: TestHomeserver) async throws -> JSONValue {
            var content = try await server.ask(.get, "/.well-known/matrix/policy_server")
            content["via"] = .string(server.name.text)
            return content
        }

        func event(_ type: String, _ content: JSONValue, stateKey: String? = nil, after: PDU? = nil) throws -> PDU {
            try evil.event(
                type, by: mallory, stateKey: stateKey, content, in: room, version: join.version, after: [after ?? join],
                auth: auth)
        }

        func message(_ text: String, after: PDU? = nil) throws -> PDU {
            try event("m.room.message", ["msgtype": "m.text", "body": .string(text)], after: after)
        }

        /// The signature that the policy server gives, or the status and code of its refusal.
        func ask(_ event: PDU) async throws -> String {
            let answer = try await evil.ask(
                servers.a, .post, OwnPolicyServerTests.sign, bytes: event.canonicalJSON)
            if let code = answer.body["errcode"]?.string { return "\(answer.status) \(code)" }
            #expect(answer.body["a.test"]?.members.map(\.key) == [RoomPolicy.keyID])
            return try #require(answer.body["a.test"]?[RoomPolicy.keyID]?.string)
        }

        func signers(_ event: EventID, on server: TestHomeserver) async throws -> [String] {
            let stored = try #require(try await server.event(event))
            return (stored.pdu.signatures?["a.test"]?.members ?? []).map(\.key).sorted()
        }

        /// How often the policy server was asked over the network.
        var asked: Int { servers.network.paths.count { $0.hasSuffix(OwnPolicyServerTests.sign) } }
    }

    private func play(
        _ version: String = "12", _ configure: @escaping (inout HomeserverConfiguration) -> Void = { _ in },
        _ test: (Play) async throws -> Void
    ) async throws {
        try await TwoServers.run({ configuration in
            guard configuration.publicBaseURL == "https://a.test" else { return }
            configuration.policyServer.isEnabled = true
            configuration.policyServer.refusedWords = ["spam", "buy now"]
            configure(&configuration)
        }) { servers in try await test(try await Play(servers, version)) }
    }

    @Test(arguments: ["1", "11", "12"])
    func `a good message passes, and spam is refused to whoever would send it`(_ version: String) async throws {
        try await play(version) { play in
            let (servers, room) = (play.servers, play.room)
            let before = play.asked
            let hello = try await servers.bob.say("hello", room)
            #expect(play.asked == before + 1)
            #expect(try await play.signers(hello, on: servers.b) == [RoomPolicy.keyID])
            try await eventually { try await servers.a.messages(room) == ["hello"] }
            // For its own users' events it asks nobody.
            let hi = try await servers.alice.say("hi", room)
            #expect(try await play.signers(hi, on: servers.a) == ["ed25519:k", RoomPolicy.keyID])
            #expect(play.asked == before + 1)
            for client in [servers.alice, servers.bob] {
                let refusal = await #expect(throws: MatrixError.self) { try await client.say("So: BUY nów!", room) }
                #expect(refusal?.status == 400 && refusal?.code == .forbidden)
                #expect(refusal?.message == "The room's policy server does not take what this says")
            }
            try await eventually { try await servers.b.messages(room) == ["hello", "hi"] }
            #expect(try await servers.a.messages(room) == ["hello", "hi"])
            #expect(try await servers.a.event(hello)?.flags == [])
            #expect(try await servers.b.event(hi)?.flags == [])
            try await servers.agree(room)
        }
    }

    @Test func `what was not signed is asked for by whoever gets it, and spam soft-fails with all`() async throws {
        try await play("11") { play in
            let (servers, room) = (play.servers, play.room)
            let good = try play.message("good")
            let spam = try play.message("good spam", after: good)
            for server in [servers.a, servers.b] {
                try await play.evil.send([good, spam].map(\.canonicalJSON), to: server)
                try await eventually { try await server.event(spam.id) != nil }
                #expect(try await server.event(spam.id)?.flags == .softFailed)
                #expect(try await server.event(good.id)?.flags == [])
                #expect(try await play.signers(good.id, on: server) == [RoomPolicy.keyID])
                #expect(try await server.messages(room) == ["good"])
            }
        }
    }

    @Test func `one sender may send so many, an event counts once, and its verdict stays`() async throws {
        try await play("11") {
            $0.rateLimits.isEnabled = true
            $0.rateLimits.policyEvents = .init(burst: 4, perSecond: 0.000_01)
        } _: { play in
            let (servers, room) = (play.servers, play.room)
            // The join was the first.
            let events = try (0..<5).map { try play.message("message \($0)") }
            let first = try await play.ask(events[0])
            for _ in 0..<6 { #expect(try await play.ask(events[0]) == first) }
            _ = try await play.ask(events[1])
            _ = try await play.ask(events[2])
            for event in [events[3], events[4], events[3]] { #expect(try await play.ask(event) == "400 M_FORBIDDEN") }
            // It was the sender's limit, not that of the server that asked, nor of what cannot be too much.
            #expect(try await play.ask(events[2]).count == 86)
            let leave = try play.event("m.room.member", ["membership": "leave"], stateKey: play.mallory.text)
            #expect(try await play.ask(leave).count == 86)
            for number in 0..<4 { try await servers.bob.say("\(number)", room) }
            let refusal = await #expect(throws: MatrixError.self) { try await servers.bob.say("4", room) }
            #expect(refusal?.status == 400 && refusal?.code == .forbidden)
            try await servers.bob.act("leave", room)
        }
    }

    @Test func `rules can be read again, and what was recommended stays so`() async throws {
        try await play { play in
            let (servers, room) = (play.servers, play.room)
            let id = try await servers.bob.say("tea", room)
            try await eventually { try await servers.a.event(id) != nil }
            let event = try #require(try await servers.a.event(id)).pdu
            let signature = try await play.ask(event)
            var configuration = servers.a.environment.configuration
            configuration.policyServer.refusedWords = ["tea"]
            servers.a.instance.reload(configuration)
            await #expect(throws: MatrixError.self) { try await servers.bob.say("tea", room) }
            try await servers.bob.say("spam", room)
            // Not by memory alone.
            let again = TestHomeserver(restarting: servers.a, on: servers.network)
            again.instance.reload(configuration)
            #expect(try await play.ask(event) == signature)
            await #expect(throws: MatrixError.self) { try await servers.bob.say("tea", room) }
        }
    }

    @Test func `what is no event of its rooms, or not its server's, is not signed`() async throws {
        try await play("11") { play in
            let (servers, room) = (play.servers, play.room)
            func status(_ body: JSONValue) async throws -> String {
                let answer = try await play.evil.ask(servers.a, .post, Self.sign, body)
                return "\(answer.status) \(answer.body["errcode"]?.string ?? "")"
            }
            let empty = try await play.evil.ask(servers.a, .post, Self.sign)
            #expect(empty.status == 400 && empty.body["errcode"]?.string == "M_NOT_JSON")
            let event = try play.message("fine")
            let honest = JSONValue(event.document.root)
            func changed(_ key: String, _ value: JSONValue?) -> JSONValue {
                var changed = honest
                changed[key] = value
                return changed
            }
            for wrong in [[:], ["room_id": 7], changed("room_id", "nonsense"), ["room_id": .string(room.text)]]
                as [JSONValue]
            {
                #expect(try await status(wrong) == "400 M_BAD_JSON", "\(wrong)")
            }
            for (key, value) in [
                ("depth", "deep"), ("prev_events", nil), ("hashes", nil), ("signatures", 7), ("type", nil),
                ("sender", "x"),
                ("content", ["body": .string(String(repeating: "a", count: 70_000))]),
                ("prev_events", .array(Array(repeating: .string(event.id.text), count: 21))),
            ] as [(String, JSONValue?)] {
                #expect(try await status(changed(key, value)) == "400 M_BAD_JSON", "\(key)")
            }
            // Content that was not hashed would be signed unread; and nobody's event is spoiled by asking so.
            #expect(try await status(changed("content", ["body": "innocent"])) == "400 M_FORBIDDEN")
            #expect(try await status(changed("signatures", [:])) == "400 M_FORBIDDEN")
            let forged: JSONValue = ["evil.test": [HandmadeServer.keyID: "A"]]
            #expect(try await status(changed("signatures", forged)) == "400 M_FORBIDDEN")
            let naming = try play.event("m.room.policy", [:], stateKey: "")
            #expect(try await status(JSONValue(naming.document.root)) == "400 M_FORBIDDEN")
            #expect(try await play.ask(event).count == 86)
            #expect(try await play.ask(try play.event("m.room.policy", [:], stateKey: "other")).count == 86)

            let other = try await servers.alice.createRoom("11")
            #expect(try await status(changed("room_id", .string(other.text))) == "404 M_NOT_FOUND")
            #expect(try await status(changed("room_id", "!nowhere:a.test")) == "404 M_NOT_FOUND")
            #expect(try await play.evil.ask(servers.a, .get, Self.sign).status == 405)
            try await servers.alice.set("m.room.server_acl", ["allow": ["*"], "deny": ["evil.test"]], room)
            #expect(try await play.ask(event) == "403 M_FORBIDDEN")
        }
    }

    @Test func `a server that is none says so, and does not ask itself`() async throws {
        try await play { play in
            let (servers, room) = (play.servers, play.room)
            for method in [HTTPRequest.Method.post, .get] {
                let answer = try await play.evil.ask(servers.b, method, Self.sign, [:])
                #expect(answer.status == 404 && answer.body["errcode"]?.string == "M_UNRECOGNIZED")
            }
            await #expect(throws: MatrixError.self) {
                try await servers.b.ask(.get, "/.well-known/matrix/policy_server")
            }
            var content = try await Play.naming(servers.a)
            content["via"] = "b.test"
            try await servers.alice.set("m.room.policy", content, room)
            try await servers.agree(room)
            let before = play.asked
            let refusal = await #expect(throws: MatrixError.self) { try await servers.bob.say("hello", room) }
            #expect(refusal?.code == .forbidden && play.asked == before)
            try await servers.alice.set("m.room.policy", [:], room)
            try await servers.alice.say("free", room)
        }
    }
}
