import ClientEncryption
import Cryptography
import HTTPMessages
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit

@Suite("Queue of messages") struct SendQueueTests {
    let server = PretendServer()
    private typealias Answer = Result<(Int, JSONValue), HTTPClientError>

    /// What passes, and is no word about the message.
    private static let passing: [(name: String, answer: Answer)] = [
        ("TLS fails", .failure(.tls("a proxy restarts"))),
        ("cancelled", .failure(.cancelled)),
        ("too large an answer", .failure(.responseTooLarge)),
        ("the server is down", .failure(.couldNotConnect("down"))),
        ("a login page", .success((200, "<html>"))),
        ("an answer without its field", .success((200, [:]))),
        ("a proxy's 404", .success((404, "<html>"))),
        ("a proxy's 403", .success((403, [:]))),
        ("a proxy's 502", .success((502, "<html>"))),
        ("a locked account", .success((401, ["errcode": "M_USER_LOCKED", "error": "later"]))),
        ("a limit", .success((429, ["errcode": "M_LIMIT_EXCEEDED", "error": "later", "retry_after_ms": 1]))),
        ("an error", .success((500, ["errcode": "M_UNKNOWN", "error": "oh"]))),
    ]

    private func until(_ holds: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while try await !holds() {
            guard ContinuousClock.now < end else { throw ClientError.timedOut("the queue") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private func texts(_ room: RoomID, of client: Client) async throws -> [String] {
        let heard = Mutex<[String]>([])
        let timeline = Timeline(of: room, client: client) { event in
            if let body = event.event["content", "body"]?.string { heard.withLock { $0.append(body) } }
        }
        try await timeline.run(fromStart: true, following: false)
        return heard.withLock { $0 }
    }

    /// A room with somebody in it whose devices must be asked for before the first message.
    private func room(of alice: Client) async throws -> RoomID {
        let room = try await alice.create(RoomCreation())
        try await alice.invite(try UserID("@bob:a"), to: room, sharingHistory: false)
        try await until {
            try await alice.database.read { try alice.store.membership(of: "@bob:a", in: room, $0) } == "invite"
        }
        return room
    }

    @Test(arguments: passing.indices, ["/send/m.room", "/keys/query"])
    func `a message stays queued through what passes`(index: Int, path: String) async throws {
        // For a question about keys this is an answer, if a poor one.
        guard path != "/keys/query" || Self.passing[index].name != "an answer without its field" else { return }
        let (alice, _) = try await server.open("alice")
        try await PretendServer.running(alice) {
            let room = try await room(of: alice)
            server.state.withLock { state in
                state.instead[path] = Array(repeating: Self.passing[index].answer, count: 1_000)
            }
            await #expect(throws: ClientError.self, "\(Self.passing[index].name)") {
                try await alice.send("m.room.message", ["body": "kept"], to: room)
            }
            server.state.withLock { $0.instead = [:] }
            try await alice.sendLeftOver()
            try await until { try await texts(room, of: alice) == ["kept"] }
        }
    }

    @Test(arguments: [(403, "M_FORBIDDEN"), (404, "M_NOT_FOUND"), (400, "M_BAD_JSON"), (413, "M_TOO_LARGE")])
    func `a message that the server refuses leaves the queue, and others pass`(status: Int, code: String) async throws {
        let (alice, _) = try await server.open("alice")
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            server.state.withLock { state in
                state.instead["/send/m.room"] = [.success((status, ["errcode": .string(code), "error": "no"]))]
            }
            do {
                _ = try await alice.send("m.room.message", ["body": "refused"], to: room)
                Issue.record("it was taken")
            } catch ClientError.server(let refusal) { #expect(refusal.status == status) }
            _ = try await alice.send("m.room.message", ["body": "next"], to: room)
            try await alice.sendLeftOver()
            #expect(try await texts(room, of: alice) == ["next"])
        }
    }

    @Test func `whoever gives up waiting takes no other message along, nor their own`() async throws {
        let (alice, _) = try await server.open("alice")
        try await PretendServer.running(alice) {
            let room = try await room(of: alice)
            server.state.withLock { $0.held = ["/send/m.room"] }
            let first = Task { try await alice.send("m.room.message", ["body": "first"], to: room) }
            try await until { server.state.withLock { $0.waiting > 0 } }
            let second = Task { try await alice.send("m.room.message", ["body": "second"], to: room) }
            try await Task.sleep(for: .milliseconds(50))
            first.cancel()
            try await Task.sleep(for: .milliseconds(50))
            server.state.withLock { $0.held = [] }
            _ = try await second.value
            _ = try? await first.value
            #expect(try await Set(texts(room, of: alice)) == ["first", "second"])
        }
    }

    @Test func `what was queued waits until changed keys are accepted, and whoever sends now is told`() async throws {
        let (alice, _) = try await server.open("alice")
        let bob = try await PretendDevice("bob", on: server)
        try await bob.upload()
        try await PretendServer.running(alice) {
            let room = try await room(of: alice)
            _ = try await alice.send("m.room.message", ["body": "before"], to: room)
            server.state.withLock { $0.failBefore["/send/m.room"] = 1_000 }
            await #expect(throws: ClientError.self) {
                try await alice.send("m.room.message", ["body": "under way"], to: room)
            }
            await #expect(throws: ClientError.self) {
                try await alice.send("m.room.message", ["body": "promised"], to: room)
            }
            // Another device in its place; what was encrypted for the old one is not.
            server.state.withLock { state in
                state.oneTimeKeys["@bob:a|PHONE"] = []
                state.fallbackKeys["@bob:a|PHONE"] = nil
            }
            try await alice.database.write {
                try $0.execute("UPDATE send_queue SET wire_type = NULL, wire_content = NULL")
            }
            let other = try await PretendDevice("bob", on: server)
            try await other.upload()
            try await until {
                try await alice.database.read { try alice.machine.devices(of: bob.user, in: $0) }
                    .contains { $0.hasChanged }
            }
            server.state.withLock { $0.failBefore = [:] }

            do {
                _ = try await alice.send("m.room.message", ["body": "now"], to: room)
                Issue.record("it was sent")
            } catch EncryptionError.changedKey {}
            try await alice.sendLeftOver()
            #expect(try await texts(room, of: alice) == ["before"])

            try await alice.acceptNewKeys(of: bob.user, bob.device)
            try await alice.sendLeftOver()
            try await until { try await texts(room, of: alice) == ["before", "under way", "promised"] }
        }
    }

    @Test func `whoever comes while sending stops is not left waiting`() async throws {
        let gate = Mutex<GatedDatabase?>(nil)
        let (alice, _) = try await server.open("alice") { inner in
            let gated = GatedDatabase(inner)
            gate.withLock { $0 = gated }
            return gated
        }
        let database = try #require(gate.withLock { $0 })
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            server.state.withLock { $0.held = ["/send/m.room"] }
            let first = Task { try? await alice.send("m.room.message", ["body": "first"], to: room) }
            try await until { server.state.withLock { $0.waiting > 0 } }
            database.shut()
            let done = Counter()
            Task {
                _ = try? await alice.send("m.room.message", ["body": "second"], to: room, within: .seconds(60))
                done.add()
            }
            // The second is in the queue, and its sender does not know yet.
            try await until { database.waiting == 1 }
            server.state.withLock { state in
                state.instead["/send/m.room"] = [.failure(.tls("down"))]
                state.held = []
            }
            // The first has failed, and the second was taken out; neither is known yet.
            try await until { database.waiting == 2 }
            database.letOnePass()
            try await Task.sleep(for: .milliseconds(50))
            database.reopen()

            try await until { done.count == 1 }
            _ = await first.value
        }
    }

    @Test func `upkeep goes on past what a server refuses`() async throws {
        let (alice, _) = try await server.open("alice")
        try await PretendServer.running(alice) {
            let room = try await room(of: alice)
            server.state.withLock { $0.failBefore["/send/m.room"] = 1_000 }
            await #expect(throws: ClientError.self) {
                try await alice.send("m.room.message", ["body": "left over"], to: room)
            }
            // A device list that the server refuses to give.
            try await alice.database.write { try alice.machine.wantKeys(of: [UserID("@carol:a")], in: $0) }
            let refusal: Answer = .success((403, ["errcode": "M_FORBIDDEN", "error": "no"]))
            server.state.withLock { state in
                state.instead["/keys/query"] = Array(repeating: refusal, count: 1_000)
                state.failBefore = [:]
            }
            do {
                try await alice.keepUpOnce()
                Issue.record("the refusal is not told")
            } catch ClientError.server {}
            try await until {
                server.state.withLock { $0.events.contains { $0.event["type"] == "m.room.encrypted" } }
            }
        }
    }

    @Test func `messages to devices that a server refuses do not hold back others`() async throws {
        let (alice, _) = try await server.open("alice")
        let bob = try await PretendDevice("bob", on: server)
        try await bob.upload()
        try await PretendServer.running(alice) {
            let room = try await room(of: alice)
            server.state.withLock { state in
                state.instead["/sendToDevice"] = [.success((403, ["errcode": "M_FORBIDDEN", "error": "no"]))]
            }
            _ = try await alice.send("m.room.message", ["body": "x"], to: room)
            #expect(server.state.withLock { $0.instead["/sendToDevice"]?.isEmpty } == true)
        }
    }

    private final class Counter: Sendable {
        private let value = Mutex(0)
        var count: Int { value.withLock { $0 } }
        func add() { value.withLock { $0 += 1 } }
    }
}
