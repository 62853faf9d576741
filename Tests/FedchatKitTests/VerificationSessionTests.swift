import ClientEncryption
import Cryptography
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit

/// What the steps of a verification were.
private final class Steps: Sendable {
    private let kept = Mutex<[VerificationStep]>([])

    func keep(_ step: VerificationStep) { kept.withLock { $0.append(step) } }

    private var all: [VerificationStep] { kept.withLock { $0 } }

    var codes: [String] { all.compactMap { if case .cancelled(let why) = $0 { why.code } else { nil } } }
    var requests: [DeviceID] { all.compactMap { if case .requested(_, let device) = $0 { device } else { nil } } }
    var readies: [DeviceID] { all.compactMap { if case .ready(_, let device, _) = $0 { device } else { nil } } }
}

@Suite("Verifications of a client") struct VerificationSessionTests {
    let server = PretendServer()

    /// A device whose messages a test writes and reads itself.
    private func raw(_ name: String, _ device: String = "PHONE") async throws -> PretendDevice {
        let raw = try await PretendDevice(name, device, on: server)
        try await raw.upload()
        return raw
    }

    private func tell(
        _ type: String, _ content: JSONValue, from sender: String, to recipient: String = "@alice:a|PHONE"
    ) {
        server.state.withLock {
            $0.inboxes[recipient, default: []].append([
                "type": .string("m.key.verification." + type), "sender": .string(sender), "content": content,
            ])
        }
    }

    private func request(_ id: String, from sender: String = "@bob:a", _ device: String = "PHONE") {
        tell(
            "request",
            [
                "transaction_id": .string(id), "from_device": .string(device), "timestamp": 1_700_000_000_000,
                "methods": ["m.sas.v1"],
            ], from: sender)
    }

    /// What a device was told of verifications, as `TYPE CODE TRANSACTION`.
    private func told(_ name: String) -> [String] {
        server.state.withLock { $0.inboxes[name] ?? [] }.compactMap { event in
            guard let type = event["type"]?.string, type.hasPrefix("m.key.verification.") else { return nil }
            let content = event["content"]
            return [
                String(type.dropFirst("m.key.verification.".count)), content?["code"]?.string,
                content?["transaction_id"]?.string,
            ].compactMap { $0 }.joined(separator: " ")
        }
    }

    private func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<2_000 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("it did not come to pass: \(what)")
    }

    @Test func `m.unknown_transaction: what belongs to no verification is answered once, a cancellation never`()
        async throws
    {
        let (alice, _) = try await server.open("alice")
        let (bob, tablet) = (try await raw("bob"), try await raw("bob", "TABLET"))
        let (machine, database) = (alice.machine, alice.database)
        try await database.write { try machine.track([bob.user], in: $0) }
        try await PretendServer.running(alice) {
            try await until("bob's devices are known") {
                try await database.read { try machine.devices(of: bob.user, in: $0) }.count == 2
            }
            tell("key", ["transaction_id": "one", "key": "x"], from: "@bob:a")
            tell("ready", ["transaction_id": "two", "from_device": "TABLET", "methods": ["m.sas.v1"]], from: "@bob:a")
            tell("cancel", ["transaction_id": "three", "code": "m.user", "reason": ""], from: "@bob:a")
            try await until("both are refused") { told("@bob:a|TABLET").count == 2 && told("@bob:a|PHONE").count == 1 }
            tell("key", ["transaction_id": "one", "key": "x"], from: "@bob:a")
            tell("mac", ["transaction_id": "four"], from: "@bob:a")
            try await until("the next is refused") { told("@bob:a|PHONE").count == 2 }
        }
        #expect(
            told("@bob:a|PHONE") == ["cancel m.unknown_transaction one", "cancel m.unknown_transaction four"],
            "the device is not named: all are told")
        #expect(
            told("@bob:a|TABLET") == [
                "cancel m.unknown_transaction one", "cancel m.unknown_transaction two",
                "cancel m.unknown_transaction four",
            ])
        _ = tablet
    }

    @Test func `m.user_mismatch: another user's message under our transaction ends nothing`() async throws {
        let (alice, _) = try await server.open("alice")
        let (bob, _) = (try await raw("bob"), try await raw("mallory"))
        let steps = Steps()
        try await PretendServer.running(alice) {
            let session = VerificationSession(.device(bob.user, bob.device), client: alice) { steps.keep($0) }
            async let isVerified = session.run()
            try await until("bob is asked") { !told("@bob:a|PHONE").isEmpty }
            let id = String(told("@bob:a|PHONE").first?.split(separator: " ").last ?? "")
            let ready: JSONValue = [
                "transaction_id": .string(id), "from_device": "PHONE", "methods": ["m.sas.v1"],
            ]
            tell("ready", ready, from: "@mallory:a")
            try await until("mallory is told") { told("@mallory:a|PHONE") == ["cancel m.user_mismatch \(id)"] }
            #expect(steps.readies.isEmpty && steps.codes.isEmpty)
            tell("ready", ready, from: "@bob:a")
            try await until("bob is ready") { steps.readies == [bob.device] }
            try await session.say(.cancel)
            #expect(try await !isVerified)
        }
        #expect(steps.codes == ["m.user"])
    }

    @Test func `of several devices that are ready the first takes part, the others are told`() async throws {
        let (alice, _) = try await server.open("alice")
        let (tablet, laptop) = (try await raw("alice", "TABLET"), try await raw("alice", "LAPTOP"))
        let steps = Steps()
        try await PretendServer.running(alice) {
            let session = VerificationSession(.ownDevices, client: alice) { steps.keep($0) }
            async let isVerified = session.run()
            try await until("both are asked") {
                told("@alice:a|TABLET").count == 1 && told("@alice:a|LAPTOP").count == 1
            }
            let id = String(told("@alice:a|TABLET").first?.split(separator: " ").last ?? "")
            for device in ["TABLET", "LAPTOP"] {
                tell(
                    "ready",
                    ["transaction_id": .string(id), "from_device": .string(device), "methods": ["m.sas.v1"]],
                    from: "@alice:a")
            }
            try await until("the laptop is told, also that its answer was late") {
                told("@alice:a|LAPTOP").suffix(2) == ["cancel m.accepted \(id)", "cancel m.accepted \(id)"]
            }
            #expect(steps.readies == [tablet.device] && steps.codes.isEmpty)
            try await session.say(.startSAS)
            #expect(told("@alice:a|TABLET").last == "start \(id)")
            try await session.say(.cancel)
            #expect(try await !isVerified)
        }
        _ = laptop
    }

    @Test func `m.unexpected_message: a device that tries twice at once is refused altogether`() async throws {
        let (alice, _) = try await server.open("alice")
        let bob = try await raw("bob")
        let steps = Steps()
        try await PretendServer.running(alice) {
            // Nobody is looking yet.
            request("one")
            request("two")
            try await until("both are refused") {
                told("@bob:a|PHONE") == ["cancel m.unexpected_message one", "cancel m.unexpected_message two"]
            }
            let session = VerificationSession(.incoming(nil), client: alice) { steps.keep($0) }
            async let isVerified = session.run()
            request("three")
            try await until("the next is taken") { steps.requests == [bob.device] }
            request("four")
            #expect(try await !isVerified)
            try await until("both are refused as well") {
                Set(told("@bob:a|PHONE").suffix(2)) == [
                    "cancel m.unexpected_message three", "cancel m.unexpected_message four",
                ]
            }
        }
        #expect(steps.codes == ["m.unexpected_message"])
        #expect(told("@bob:a|PHONE").count == 4)
    }

    @Test func `a request that was cancelled or answered is not taken later, and by one session only`() async throws {
        let (alice, _) = try await server.open("alice")
        _ = try await raw("bob")
        let (steps, second) = (Steps(), Steps())
        try await PretendServer.running(alice) {
            request("one")
            tell("cancel", ["transaction_id": "one", "code": "m.user", "reason": ""], from: "@bob:a")
            request("two")
            try await until("all came") {
                let waiting = await alice.waitingVerifications(at: alice.machine.milliseconds)
                return waiting.map { $0.content["transaction_id"] } == ["two"]
            }
            let session = VerificationSession(.incoming(nil), client: alice) { steps.keep($0) }
            let other = VerificationSession(.incoming(nil), client: alice) { second.keep($0) }
            async let isVerified = session.run()
            try await until("it is taken") { steps.requests.count == 1 }
            async let isOtherVerified = other.run()
            try await session.say(.cancel)
            #expect(try await !isVerified)
            #expect(told("@bob:a|PHONE") == ["cancel m.user two"])
            try await Task.sleep(for: .milliseconds(50))
            #expect(second.requests.isEmpty)
            try await other.say(.cancel)
            #expect(try await !isOtherVerified)
        }
    }

    @Test func `who asks as a device that nobody shows does not end the waiting for others`() async throws {
        let (alice, _) = try await server.open("alice")
        let bob = try await raw("bob")
        let steps = Steps()
        try await PretendServer.running(alice) {
            let session = VerificationSession(.incoming(nil), client: alice) { steps.keep($0) }
            async let isVerified = session.run()
            request("from nowhere", from: "@mallory:a", "NOWHERE")
            tell("start", ["transaction_id": "without a device", "method": "m.sas.v1"], from: "@mallory:a")
            request("from bob")
            try await until("bob has asked") { steps.requests == [bob.device] }
            try await session.say(.cancel)
            #expect(try await !isVerified)
        }
    }

    /// Says yes to everything.
    private func verify(_ other: Client, by client: Client) async throws -> Bool {
        let (answers, answering) = AsyncStream<Verification.Input>.makeStream()
        let session = VerificationSession(.device(other.user, other.device), client: client) { step in
            switch step {
            case .requested: answering.yield(.accept)
            case .ready: answering.yield(.startSAS)
            case .compare: answering.yield(.matches(true))
            case .done, .cancelled: answering.finish()
            default: break
            }
        }
        async let isVerified = session.run()
        for await answer in answers { try await session.say(answer) }
        return try await isVerified
    }

    @Test(.timeLimit(.minutes(1))) func `two who ask each other at once verify once`() async throws {
        let (alice, _) = try await server.open("alice")
        let (bob, _) = try await server.open("bob")
        try await PretendServer.running(alice, bob) {
            async let one = verify(bob, by: alice)
            async let two = verify(alice, by: bob)
            let results = try await [one, two]
            #expect(results == [true, true])
        }
    }

    @Test func `m.timeout: a request that nobody answers is taken back after ten minutes`() async throws {
        let clock = PretendClock()
        let (alice, _) = try await server.open("alice", clock: clock)
        let bob = try await raw("bob")
        let steps = Steps()
        try await PretendServer.running(alice) {
            let session = VerificationSession(.device(bob.user, bob.device), client: alice) { steps.keep($0) }
            async let isVerified = session.run()
            try await until("bob is asked") { !told("@bob:a|PHONE").isEmpty }
            clock.advance(by: 590_000)
            try await Task.sleep(for: .milliseconds(50))
            #expect(steps.codes.isEmpty)
            clock.advance(by: 20_000)
            #expect(try await !isVerified)
            try await until("bob is told") { told("@bob:a|PHONE").last?.hasPrefix("cancel m.timeout ") ?? false }
        }
        #expect(steps.codes == ["m.timeout"])
    }

    @Test(arguments: [(0, "m.unknown_transaction"), (660_000, "m.timeout"), (90_000_000, nil)] as [(Int64, String?)])
    func `what a process leaves under way is cancelled by the next, and told once`(
        _ age: Int64, _ code: String?
    ) async throws {
        let (alice, database) = try await server.open("alice")
        let bob = try await raw("bob")
        let room = Mutex<RoomID?>(nil)
        try await PretendServer.running(alice) {
            let made = try await alice.create(RoomCreation())
            room.withLock { $0 = made }
        }
        let started = alice.machine.milliseconds
        for (id, room) in [("txn", nil), ("$request", room.withLock { $0 })] {
            let isNew = try await alice.begin(
                OpenVerification(
                    transaction: id, room: room, user: bob.user, devices: [bob.device], isOurs: true, isMet: true,
                    startedAt: started))
            #expect(isNew)
        }
        let rows = try await database.read {
            try $0.query("SELECT value FROM sealed_values WHERE name = 'verifications'")
        }
        #expect(rows.count == 1)

        // The process is gone, and says nothing.
        let clock = PretendClock()
        clock.advance(by: age)
        let (again, _) = try await server.open("alice", database, clock: clock)
        try await PretendServer.running(again) {
            try await again.caughtUp()
            let interrupted = try await again.interruptedVerifications()
            #expect(interrupted.map(\.user) == [bob.user, bob.user])
            #expect(try await again.interruptedVerifications().isEmpty, "once")
            if code != nil { try await until("bob is told") { !told("@bob:a|PHONE").isEmpty } }
            tell("key", ["transaction_id": "txn", "key": "x"], from: "@bob:a")
            try await Task.sleep(for: .milliseconds(50))
        }

        #expect(told("@bob:a|PHONE") == (code.map { ["cancel \($0) txn"] } ?? []))
        let sent = server.state.withLock { $0.events.filter { $0.event["type"] == "m.room.encrypted" } }
        #expect(sent.count == (code == nil ? 0 : 1))
        for event in sent {
            #expect(event.event["content", "m.relates_to", "event_id"] == "$request")
            #expect(event.event["content", "m.relates_to", "rel_type"] == "m.reference")
        }
        #expect(
            try await database.read { try $0.query("SELECT 1 FROM sealed_values WHERE name = 'verifications'") }.isEmpty
        )
    }

    @Test func `a verification that ended leaves nothing to be cancelled`() async throws {
        let (alice, database) = try await server.open("alice")
        let bob = try await raw("bob")
        try await PretendServer.running(alice) {
            let session = VerificationSession(.device(bob.user, bob.device), client: alice) { _ in }
            async let isVerified = session.run()
            try await until("bob is asked") { !told("@bob:a|PHONE").isEmpty }
            #expect(
                try await !database.read { try $0.query("SELECT 1 FROM sealed_values WHERE name = 'verifications'") }
                    .isEmpty, "it is written down while it is under way")
            try await session.say(.cancel)
            #expect(try await !isVerified)
        }
        #expect(
            try await database.read { try $0.query("SELECT 1 FROM sealed_values WHERE name = 'verifications'") }.isEmpty
        )
    }

    @Test func `who knows the id of another's request cannot end it`() throws {
        var ledger = VerificationLedger()
        let (bob, mallory) = (try UserID("@bob:a"), try UserID("@mallory:a"))
        func take(_ type: String, _ sender: UserID) {
            ledger.take(
                VerificationMessage(
                    sender: sender, type: type, content: ["transaction_id": "txn", "from_device": "PHONE"]), at: 0)
        }
        take("request", bob)
        for type in ["cancel", "request", "key", "done", "start"] { take(type, mallory) }
        #expect(ledger.requests(at: 0).map(\.sender) == [bob])
        #expect(ledger.refusals.map(\.code) == [.userMismatch, .userMismatch, .userMismatch, .userMismatch])
        #expect(ledger.refusals.allSatisfy { $0.user == mallory })
        take("key", bob)
        #expect(ledger.refusals.last?.code == .unexpectedMessage)
        #expect(ledger.requests(at: 0).isEmpty)
    }

    @Test func `a flood of messages fills nothing`() throws {
        var ledger = VerificationLedger()
        let mallory = try UserID("@mallory:a")
        for number in 0..<5_000 {
            for type in ["request", "key", "cancel", "nonsense"] {
                ledger.take(
                    VerificationMessage(
                        sender: mallory, type: type,
                        content: [
                            "transaction_id": .string("\(type) \(number)"), "from_device": .string("D\(number)"),
                        ]), at: 0)
            }
        }
        #expect(ledger.requests(at: 0).count == ClientLimits.verificationMessages)
        #expect(ledger.refusals.count == ClientLimits.verificationRefusals)
        #expect(ledger.requests(at: ClientLimits.verificationMilliseconds).isEmpty)
        for number in 0..<ClientLimits.openVerifications {
            let isNew = try ledger.begin(
                OpenVerification(
                    transaction: "t\(number)", room: nil, user: mallory, devices: [], isOurs: true, isMet: false,
                    startedAt: 0))
            #expect(isNew)
        }
        #expect(throws: ClientError.self) {
            try ledger.begin(
                OpenVerification(
                    transaction: "more", room: nil, user: mallory, devices: [], isOurs: true, isMet: false, startedAt: 0
                ))
        }
        #expect(VerificationLedger(stored: ledger.stored).interrupted.count == ClientLimits.openVerifications)
    }
}
