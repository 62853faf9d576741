import Cryptography
import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Synchronization
import Testing

@Suite("Policy servers") struct PolicyServerTests {
    /// `policy.test`, which signs what is not spam.
    final class PolicyServer: HTTPHandler {
        let server: HandmadeServer
        let key: Ed25519.SigningKey
        let bot: UserID
        private let version: RoomVersion
        private let state = Mutex((asked: 0, isDown: false))

        init(_ servers: TwoServers, _ version: RoomVersion) throws {
            server = try HandmadeServer("policy.test", on: servers.network)
            key = try Ed25519.SigningKey(seed: [UInt8](repeating: 21, count: 32))
            bot = try UserID("@bot:policy.test")
            self.version = version
            servers.network.connect("policy.test", self)
        }

        var asked: Int { state.withLock { $0.asked } }
        func set(isDown: Bool) { state.withLock { $0.isDown = isDown } }

        func handle(_ request: IncomingRequest) async -> OutgoingResponse {
            guard request.head.path == "/_matrix/policy/v1/sign" else { return await server.handle(request) }
            let isDown = state.withLock { state in
                state.asked += 1
                return state.isDown
            }
            let bytes = (try? await request.body.collect(upTo: 1 << 20)) ?? []
            guard !isDown, let event = try? PDU(parsing: bytes, version: version),
                let signed = try? event.signed(by: server.name, keyID: RoomPolicy.keyID, key: key),
                let signature = signed.signatures?[server.name.text]?[RoomPolicy.keyID]?.string
            else { return OutgoingResponse(status: .badGateway, fields: [:], body: .empty) }
            if event.content["body"]?.string == "spam" {
                let refusal: JSONValue = ["errcode": "M_FORBIDDEN", "error": "It looks like spam", "org.x": 1]
                return OutgoingResponse(status: .badRequest, fields: [:], body: HTTPBody(refusal.serialized()))
            }
            let answer: JSONValue = .object([server.name.text: [RoomPolicy.keyID: .string(signature)]])
            return OutgoingResponse(status: .ok, fields: [:], body: HTTPBody(answer.serialized()))
        }

        func content(_ key: Ed25519.SigningKey? = nil) -> JSONValue {
            let bytes = (key ?? self.key).publicKey.bytes
            return [
                "via": "policy.test", "public_keys": ["ed25519": .string(Base64.encode(bytes, .urlSafeUnpadded))],
            ]
        }

        func hasSigned(_ event: PDU) -> Bool {
            EventSignatures.verify(event, server: server.name, keyID: RoomPolicy.keyID, key: key.publicKey)
        }
    }

    private func play(
        _ version: String = "12", isJoined: Bool = true, _ test: (TwoServers, PolicyServer, RoomID) async throws -> Void
    ) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom(version)
            let policy = try PolicyServer(servers, try #require(RoomVersion(version)))
            if isJoined { _ = try await policy.server.join(policy.bot, room, on: servers.a) }
            try await servers.alice.set("m.room.policy", policy.content(), room)
            try await servers.agree(room)
            try await test(servers, policy, room)
        }
    }

    @Test(arguments: ["1", "11", "12"])
    func `what is sent is signed first, and whoever gets it need not ask`(_ version: String) async throws {
        try await play(version) { servers, policy, room in
            let id = try await servers.alice.say("hello", room)
            #expect(policy.hasSigned(try #require(try await servers.a.event(id)).pdu))
            try await servers.alice.set("m.room.topic", ["topic": "tea"], room)
            #expect(policy.asked == 2)
            try await servers.agree(room)
            #expect(try await servers.b.messages(room) == ["hello"])
            #expect(try await servers.b.event(id)?.flags == [])
            #expect(policy.asked == 2)
            // The event that names the policy server is not for it to judge.
            try await servers.alice.set("m.room.policy", [:], room)
            try await servers.alice.say("free", room)
            #expect(policy.asked == 2)
        }
    }

    @Test func `what it refuses is not sent, and its words are the client's answer`() async throws {
        try await play { servers, policy, room in
            async let good = servers.alice.say("good", room)
            let refusal = await #expect(throws: MatrixError.self) { try await servers.alice.say("spam", room) }
            #expect(refusal?.code == .forbidden && refusal?.status == 400)
            #expect(refusal?.message == "It looks like spam" && refusal?.fields["org.x"] == 1)
            _ = try await good
            try await servers.alice.say("after", room)
            try await eventually { try await servers.b.messages(room) == ["good", "after"] }
            #expect(try await servers.a.messages(room) == ["good", "after"])
        }
    }

    @Test func `an event that came without its signature is asked for, and without one soft-fails`() async throws {
        try await play("11") { servers, policy, room in
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let mallory = try UserID("@mallory:evil.test")
            let (join, state) = try await evil.join(mallory, room, on: servers.a)
            // The resident had the join signed.
            #expect(policy.hasSigned(try #require(try await servers.a.event(join.id)).pdu))
            let auth = state.filter { [EventType.create, .powerLevels].contains($0.type) } + [join]
            func message(_ text: String, after: PDU) throws -> PDU {
                try evil.event(
                    "m.room.message", by: mallory, ["body": .string(text)], in: room, version: join.version,
                    after: [after], auth: auth)
            }
            let good = try message("good", after: join)
            let spam = try message("spam", after: good)
            policy.set(isDown: false)
            try await evil.send([good, spam].map(\.canonicalJSON), to: servers.a)
            try await eventually { try await servers.a.event(spam.id) != nil }
            let stored = try #require(try await servers.a.event(good.id))
            #expect(stored.flags == [] && policy.hasSigned(stored.pdu))
            #expect(try await servers.a.event(spam.id)?.flags == .softFailed)

            // One who signs in its name with another key is not believed.
            let other = try Ed25519.SigningKey(seed: [UInt8](repeating: 22, count: 32))
            policy.set(isDown: true)
            let forged = try message("spam", after: good).signed(
                by: policy.server.name, keyID: RoomPolicy.keyID, key: other)
            try await evil.send([forged.canonicalJSON], to: servers.a)
            try await eventually { try await servers.a.event(forged.id) != nil }
            #expect(try await servers.a.event(forged.id)?.flags == .softFailed)
            #expect(try await servers.a.messages(room) == ["good"])
        }
    }

    @Test func `while it is down nothing is said, but the room can name another`() async throws {
        try await play { servers, policy, room in
            policy.set(isDown: true)
            await #expect(throws: MatrixError.self) { try await servers.alice.say("lost", room) }
            await #expect(throws: MatrixError.self) { try await servers.bob.say("lost", room) }
            try await servers.alice.set("m.room.policy", [:], room)
            try await servers.alice.say("free", room)
            try await eventually { try await servers.b.messages(room) == ["free"] }
        }
    }

    @Test func `an invite has its signature beside those of both servers`() async throws {
        try await play { servers, policy, room in
            let carl = try await servers.b.register("carl")
            try await servers.alice.act("invite", room, on: carl.user)
            let id = try #require(try await servers.a.state(room)[StateKey(.member, carl.user.text)])
            let event = try #require(try await servers.a.event(id)).pdu
            #expect(policy.hasSigned(event))
            #expect(Set(event.signatures?.members.map(\.key) ?? []) == ["a.test", "b.test", "policy.test"])
        }
    }

    @Test func `a server that has nobody in the room is not asked`() async throws {
        try await play(isJoined: false) { servers, policy, room in
            try await servers.alice.say("hello", room)
            #expect(policy.asked == 0)
        }
    }
}
