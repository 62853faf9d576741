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
    /// `evil.test`, which keeps what it is sent, and refuses what it is told to: at first, what says "poison".
    final class PickyServer: HTTPHandler {
        /// What a transaction holds: texts of messages, and EDUs, by their text or else their type.
        struct Transaction: Sendable {
            var texts: [String] = []
            var edus: [String] = []

            var isPoisoned: Bool { texts.contains("poison") || edus.contains("poison") }
        }

        /// A status, and the code of an error where there is one.
        typealias Refusal = (status: Int, code: String?)

        private struct State {
            var taken: [Transaction] = []
            var refused: [Transaction] = []
            var isHeld = false
            var refuses: @Sendable (Transaction) -> Refusal? = { $0.isPoisoned ? (400, "M_BAD_JSON") : nil }
        }

        private let server: HandmadeServer
        private let state = Mutex(State())

        init(_ server: HandmadeServer, on network: LoopNetwork) {
            self.server = server
            network.connect(server.name.text, self)
        }

        /// The messages of each transaction that was taken.
        var taken: [[String]] { state.withLock { $0.taken.map(\.texts) } }
        /// The EDUs that were taken.
        var edus: [String] { state.withLock { $0.taken.flatMap(\.edus) } }
        /// Those of these that are messages to devices.
        var messages: [String] { edus.filter { !$0.hasPrefix("m.") } }
        /// The transactions that were not.
        var refused: [Transaction] { state.withLock { $0.refused } }

        /// Decides for each transaction from now on.
        func refuse(_ refuses: @escaping @Sendable (Transaction) -> Refusal?) {
            state.withLock { $0.refuses = refuses }
        }

        /// Keeps who sends waiting, or does not any more.
        func hold(_ isHeld: Bool) { state.withLock { $0.isHeld = isHeld } }

        func handle(_ request: IncomingRequest) async -> OutgoingResponse {
            guard request.head.path?.hasPrefix("/_matrix/federation/v1/send/") == true else {
                return await server.handle(request)
            }
            let bytes = (try? await request.body.collect(upTo: 16 << 20)) ?? []
            let body = try? JSONValue.parse(bytes)
            let transaction = Transaction(
                texts: (body?["pdus"]?.array ?? []).compactMap { $0["content"]?["body"]?.string },
                edus: (body?["edus"]?.array ?? []).compactMap { edu in
                    if edu["content"]?["typing"] == false { return "m.typing ends" }
                    return edu["content"]?["text"]?.string ?? edu["edu_type"]?.string
                })
            while state.withLock({ $0.isHeld }) { try? await ContinuousClock().sleep(for: .milliseconds(1)) }
            let refusal = state.withLock { state in
                let refusal = state.refuses(transaction)
                if refusal == nil { state.taken.append(transaction) } else { state.refused.append(transaction) }
                return refusal
            }
            var answer: JSONValue = ["pdus": [:]]
            if let refusal {
                answer = refusal.code.map { ["errcode": .string($0), "error": "What is that?"] } ?? "An error page"
            }
            return OutgoingResponse(
                status: .init(code: refusal?.status ?? 200), fields: [:], body: HTTPBody(answer.serialized()))
        }
    }

    /// Lets Alice say what `evil.test` gets only afterwards, all at once.
    private func say(_ texts: [String], in scene: HostileServerTests.Scene) async throws {
        scene.servers.network.set { $0.host == "evil.test" ? .unreachable : .delivered }
        for text in texts { try await scene.servers.alice.say(text, scene.room) }
        scene.servers.network.set()
    }

    /// As of `HostileServerTests`, with pauses that a test can wait for.
    private static func play(_ test: (HostileServerTests.Scene) async throws -> Void) async throws {
        try await HostileServerTests.play("11", { $0.timeouts.federationBackoffMaximum = 20_000 }, test)
    }

    /// How many PDUs and EDUs wait for `evil.test`.
    private func waiting(in scene: HostileServerTests.Scene) async throws -> Int {
        try await scene.servers.a.environment.database.read { connection in
            let outbox = Outbox(connection)
            return try outbox.pendingPDUs(for: "evil.test", limit: 1_000).count
                + outbox.pendingEDUs(for: "evil.test", limit: 1_000, sealer: .plain).count
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

    @Test func `what is tried again is the same transaction, and what is sent once more another`() async throws {
        try await HostileServerTests.play { scene in
            let (a, network) = (scene.servers.a, scene.servers.network)
            let sending = "evil.test/_matrix/federation/v1/send/"
            func transactions() -> [String] { network.paths.filter { $0.hasPrefix(sending) } }
            let before = transactions().count
            network.set { $0.host == "evil.test" ? .unreachable : .delivered }
            let event = try #require(try await a.event(scene.servers.alice.say("twice", scene.room)))
            try await eventually { transactions().count > before }
            network.set()
            try await eventually { try await waiting(in: scene) == 0 }
            let tried = transactions()[before...]
            #expect(tried.count >= 2 && Set(tried).count == 1)
            let pdu = Outbox.PendingPDU(position: try #require(event.position), eventNID: event.nid)
            try await a.environment.database.write {
                try Outbox($0).enqueueAgain([pdu], roomNID: event.roomNID, destination: "evil.test")
            }
            try await eventually { transactions().count > before + tried.count }
            #expect(!tried.contains(try #require(transactions().last)))
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

    @Test(
        arguments: [(413, nil), (413, "M_TOO_LARGE"), (500, nil), (400, nil), (400, "M_UNKNOWN"), (500, "M_UNKNOWN")]
            as [(Int, String?)])
    func `whatever the status, one event that is refused keeps none of the others back, and is sent when it can be`(
        status: Int, code: String?
    ) async throws {
        try await Self.play { scene in
            let picky = PickyServer(scene.evil, on: scene.servers.network)
            picky.refuse { $0.isPoisoned || $0.texts.count > 7 ? (status, code) : nil }
            let texts = (0..<30).map { $0 == 11 ? "poison" : "\($0)" }
            try await say(texts, in: scene)
            let good = texts.filter { $0 != "poison" }
            try await eventually { picky.taken.joined().count >= good.count }
            #expect(Array(picky.taken.joined()) == good)
            // It was not given up, and comes when the server can read it.
            try await eventually { try await waiting(in: scene) == 1 }
            picky.refuse { _ in nil }
            try await eventually { picky.taken.last == ["poison"] }
            try await eventually { try await waiting(in: scene) == 0 }
        }
    }

    @Test(arguments: [(500, nil), (503, "M_UNKNOWN"), (400, "M_BAD_JSON"), (403, nil)] as [(Int, String?)])
    func `a server that refuses everything for a while loses nothing by it`(status: Int, code: String?) async throws {
        try await Self.play { scene in
            let picky = PickyServer(scene.evil, on: scene.servers.network)
            picky.refuse { _ in (status, code) }
            let texts = (0..<20).map { "\($0)" }
            try await say(texts, in: scene)
            try await eventually { picky.refused.count > 30 }
            #expect(try await waiting(in: scene) == texts.count)
            picky.refuse { _ in nil }
            try await eventually { picky.taken.joined().count >= texts.count }
            #expect(Set(picky.taken.joined()) == Set(texts))
            try await eventually { try await waiting(in: scene) == 0 }
        }
    }

    @Test(arguments: [(400, "M_BAD_JSON"), (500, nil)] as [(Int, String?)])
    func `a message to a device that is refused keeps no other back, and stays until it is taken`(
        status: Int, code: String?
    ) async throws {
        try await Self.play { scene in
            let picky = PickyServer(scene.evil, on: scene.servers.network)
            picky.refuse { $0.isPoisoned ? (status, code) : nil }
            scene.servers.network.set { $0.host == "evil.test" ? .unreachable : .delivered }
            try await scene.servers.a.environment.database.write { connection in
                for number in 0..<120 {
                    let text = number == 60 ? "poison" : "\(number)"
                    let edu: JSONValue = ["edu_type": "m.direct_to_device", "content": ["text": .string(text)]]
                    try Outbox(connection).enqueueEDU(
                        edu.serialized(), to: "evil.test", dedupeKey: nil, now: 1_700_000_000_000, sealer: .plain)
                }
            }
            try await scene.servers.alice.say("beside", scene.room)
            scene.servers.network.set()
            try await eventually { picky.messages.count >= 119 }
            #expect(picky.messages == (0..<120).filter { $0 != 60 }.map { "\($0)" })
            #expect(picky.taken.contains(["beside"]))
            try await eventually { try await waiting(in: scene) == 1 }
            picky.refuse { _ in nil }
            try await eventually { picky.messages.last == "poison" }
            try await eventually { try await waiting(in: scene) == 0 }
        }
    }

    @Test(arguments: [(400, "M_BAD_JSON"), (413, nil), (500, nil)] as [(Int, String?)])
    func `typing that a server cannot read costs no message`(status: Int, code: String?) async throws {
        try await Self.play { scene in
            let picky = PickyServer(scene.evil, on: scene.servers.network)
            picky.refuse { $0.edus.contains("m.typing") ? (status, code) : nil }
            let alice = scene.servers.alice
            var said: [String] = []
            // Until both were on the way together: who types is soon not worth telling any more.
            for _ in 0..<50 where !picky.refused.contains(where: { !$0.texts.isEmpty }) {
                picky.hold(true)
                said.append("\(said.count)")
                try await alice.say(said[said.count - 1], scene.room)
                try await alice.ask(
                    .put,
                    "/_matrix/client/v3/rooms/\(percent(scene.room.text))/typing/\(percent(alice.user.text))",
                    ["typing": .bool(said.count % 4 == 1), "timeout": 30_000])
                said.append("\(said.count)")
                try await alice.say(said[said.count - 1], scene.room)
                picky.hold(false)
                try await eventually { picky.taken.joined().count >= said.count }
            }
            #expect(picky.refused.contains { !$0.texts.isEmpty })
            #expect(Array(picky.taken.joined()) == said)
        }
    }

    @Test func `who is away is not told afterwards who was typing`() async throws {
        try await Self.play { scene in
            let picky = PickyServer(scene.evil, on: scene.servers.network)
            let alice = scene.servers.alice
            scene.servers.network.set { $0.host == "evil.test" ? .unreachable : .delivered }
            try await alice.say("before", scene.room)
            try await alice.ask(
                .put, "/_matrix/client/v3/rooms/\(percent(scene.room.text))/typing/\(percent(alice.user.text))",
                ["typing": true, "timeout": 30_000])
            let database = scene.servers.a.environment.database
            try await eventually {
                try await database.read { try Outbox($0).destination("evil.test")?.failures ?? 0 } > 1
            }
            scene.servers.network.set()
            try await eventually { picky.taken == [["before"]] }
            #expect(!picky.edus.contains("m.typing"))
        }
    }

    @Test func `servers that refuse all that waits for them do not hide one that is there again`() async throws {
        // So few destinations are looked at together that these would be all of them.
        try await TwoServers.run({ $0.limits.federationConcurrentDestinations = 1 }) { servers in
            let network = servers.network
            let database = servers.a.environment.database
            func enqueue(_ text: String, for name: String) async throws {
                let edu: JSONValue = ["edu_type": "m.direct_to_device", "content": ["text": .string(text)]]
                try await database.write {
                    try Outbox($0).enqueueEDU(
                        edu.serialized(), to: name, dedupeKey: nil, now: 1_700_000_000_000, sealer: .plain)
                }
            }
            let names = ["full0.test", "full1.test", "full2.test"]
            let full = try names.map { try PickyServer(HandmadeServer($0, on: network), on: network) }
            let away = try PickyServer(HandmadeServer("away.test", on: network), on: network)
            for name in names { try await enqueue("poison", for: name) }
            try await eventually { full.allSatisfy { !$0.refused.isEmpty } }

            network.set { $0.host == "away.test" ? .unreachable : .delivered }
            try await enqueue("late", for: "away.test")
            try await eventually {
                try await database.read { try Outbox($0).destination("away.test")?.failures ?? 0 } > 0
            }
            // Nobody says that it is back: it is found by looking, after those that did not fail.
            network.set()
            try await eventually { away.messages == ["late"] }

            // Nor are they forgotten themselves.
            for server in full { server.refuse { _ in nil } }
            try await eventually { full.allSatisfy { $0.messages == ["poison"] } }
        }
    }
}
