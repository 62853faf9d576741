import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@Suite("Sending to other servers") struct SendingTests {
    /// `evil.test`, which keeps what it is sent, and cannot read what says "poison".
    final class PickyServer: HTTPHandler {
        private let server: HandmadeServer
        private let transactions = Mutex<[[String]]>([])

        init(_ server: HandmadeServer, on network: LoopNetwork) {
            self.server = server
            network.connect(server.name.text, self)
        }

        /// The messages of each transaction that was taken.
        var taken: [[String]] { transactions.withLock { $0 } }

        func handle(_ request: IncomingRequest) async -> OutgoingResponse {
            guard request.head.path?.hasPrefix("/_matrix/federation/v1/send/") == true else {
                return await server.handle(request)
            }
            let bytes = (try? await request.body.collect(upTo: 16 << 20)) ?? []
            let pdus = (try? JSONValue.parse(bytes))?["pdus"]?.array ?? []
            let texts = pdus.compactMap { $0["content"]?["body"]?.string }
            let answer: JSONValue
            let isPoisoned = texts.contains("poison")
            if isPoisoned {
                answer = ["errcode": "M_BAD_JSON", "error": "What is that?"]
            } else {
                answer = ["pdus": [:]]
                transactions.withLock { $0.append(texts) }
            }
            return OutgoingResponse(
                status: isPoisoned ? .badRequest : .ok, fields: [:], body: HTTPBody(answer.serialized()))
        }
    }

    @Test func `one event that a server cannot read keeps none of the others from it, and order holds`() async throws {
        try await HostileServerTests.play { scene in
            let picky = PickyServer(scene.evil, on: scene.servers.network)
            scene.servers.network.set { $0.host == "evil.test" ? .unreachable : .delivered }
            let texts = (0..<130).map { $0 == 61 ? "poison" : "\($0)" }
            for text in texts { try await scene.servers.alice.say(text, scene.room) }
            scene.servers.network.set()
            let good = texts.filter { $0 != "poison" }
            try await eventually { picky.taken.joined().count == good.count }
            #expect(Array(picky.taken.joined()) == good)
            #expect(picky.taken.allSatisfy { $0.count <= 50 })
            try await scene.servers.alice.say("goes on", scene.room)
            try await eventually { picky.taken.last == ["goes on"] }
        }
    }

    @Test func `a server that was given up gets what waits as soon as it speaks`() async throws {
        try await HostileServerTests.play { scene in
            let picky = PickyServer(scene.evil, on: scene.servers.network)
            let a = scene.servers.a
            let far = a.environment.clock.now() + 30 * 86_400_000
            try await a.environment.database.write {
                try Outbox($0).failed("evil.test", retryAt: far, keep: 100, keepEDUs: 100)
            }
            try await scene.servers.alice.say("waiting", scene.room)
            try await ContinuousClock().sleep(for: .milliseconds(200))
            #expect(picky.taken.isEmpty)
            // Who speaks all the time is listened to once a minute.
            try await eventually {
                _ = try await scene.evil.ask(a, .get, "/_matrix/federation/v1/query/profile?user_id=@alice:a.test")
                return picky.taken == [["waiting"]]
            }
        }
    }
}
