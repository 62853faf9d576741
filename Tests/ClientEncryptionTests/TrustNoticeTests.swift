import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@testable import ClientEncryption

/// A homeserver can add devices to anybody's account: whoever writes to them is told.
@Suite("Notices of new devices and identities") struct TrustNoticeTests {
    private let server = KeyServer()

    private func pair(bobHasIdentity: Bool = false) async throws -> (alice: TrustDevice, bob: TrustDevice) {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        if bobHasIdentity { try await bob.makeIdentity() }
        try await alice.look(at: bob)
        return (alice, bob)
    }

    @Test(arguments: [false, true])
    func `a device that comes up later is told once, with whether it gets keys`(hasIdentity: Bool) async throws {
        let (alice, bob) = try await pair(bobHasIdentity: hasIdentity)
        let added = try await TrustDevice("bob", "ADDED", on: server)
        try await alice.look(at: bob)

        let notices = try await alice.takeNotices()

        #expect(notices.map(\.device) == [added.device])
        let notice = try #require(notices.first)
        #expect(notice.kind == .newDevice && notice.user == bob.user && !notice.isOwn && !notice.isGone)
        #expect(notice.getsKeys == !hasIdentity)
        #expect(notice.key == (try await alice.known(added)?.ed25519))
        #expect(notice.explanation.contains("@bob:a has a new device, ADDED"))
        #expect(notice.explanation.contains(hasIdentity ? "it gets no keys" : "it gets the keys"))
        server.tell(of: "@bob:a")
        try await alice.look(at: bob)
        #expect(try await alice.takeNotices().isEmpty)
    }

    @Test func `who is met with many devices is no news, also one's own account`() async throws {
        for name in ["A", "B", "C"] { _ = try await TrustDevice("bob", name, on: server) }
        _ = try await TrustDevice("alice", "LAPTOP", on: server)
        let (alice, _) = try await pair(bobHasIdentity: true)
        #expect(try await alice.takeNotices().isEmpty)
    }

    @Test func `who was met without a device has a new one all the same`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        let nobody = try UserID("@bob:a")
        try await alice.write { try $0.track([nobody], in: $1) }
        try await alice.look()
        while let query = try await alice.write({ try $0.keyQuery(in: $1) }) {
            let answer = try alice.call(query.call)
            _ = try await alice.write { try $0.queried(query, response: answer, in: $1) }
        }
        let bob = try await TrustDevice("bob", on: server)
        try await alice.look(at: bob)
        #expect(try await alice.takeNotices().map(\.device) == [bob.device])
    }

    @Test func `who comes back after they left all rooms has new devices since then`() async throws {
        let (alice, bob) = try await pair()
        try await alice.write { try $0.noteLeftUsers([bob.user], in: $1) }
        let added = try await TrustDevice("bob", "ADDED", on: server)
        try await alice.look(at: bob)
        #expect(try await alice.takeNotices().map(\.device) == [added.device])
    }

    @Test func `a device that its owner signs before it was told is none to tell of`() async throws {
        let (alice, bob) = try await pair(bobHasIdentity: true)
        let tablet = try await TrustDevice("bob", "TABLET", on: server)
        try await alice.look(at: bob)
        try await bob.look()
        try await bob.write { try $0.signOwnDevice(tablet.device, in: $1) }
        try await bob.uploadSignatures()
        try await alice.look(at: bob)
        #expect(try await alice.takeNotices().isEmpty)

        // The server leaves the signature out again: then it is one that is not signed.
        server.state.withLock { state in
            let own = state.deviceKeys["@bob:a"]?["TABLET"]?["signatures"]?["@bob:a"]?["ed25519:TABLET"] ?? .null
            state.deviceKeys["@bob:a"]?["TABLET"]?["signatures"] = ["@bob:a": ["ed25519:TABLET": own]]
        }
        server.tell(of: "@bob:a")
        try await alice.look(at: bob)
        #expect(try await alice.takeNotices().map(\.device) == [tablet.device])
    }

    @Test func `a device that is gone before anybody looked is told all the same`() async throws {
        let (alice, bob) = try await pair()
        _ = try await TrustDevice("bob", "ADDED", on: server)
        try await alice.look(at: bob)
        server.state.withLock { $0.deviceKeys["@bob:a"]?["ADDED"] = nil }
        server.tell(of: "@bob:a")
        try await alice.look(at: bob)

        let notice = try #require(try await alice.takeNotices().first)

        #expect(notice.isGone)
        #expect(notice.explanation.contains("it is gone again, and may have got the keys"))
    }

    @Test func `one's own account comes first, and this device is none of its news`() async throws {
        let (alice, bob) = try await pair()
        _ = try await TrustDevice("bob", "ADDED", on: server)
        try await alice.look(at: bob)
        let thief = try await TrustDevice("alice", "THIEF", on: server)
        try await alice.look(at: bob)

        let notices = try await alice.takeNotices()

        #expect(notices.map(\.device) == [thief.device, try DeviceID("ADDED")])
        #expect(notices.map(\.isOwn) == [true, false])
        #expect(notices[0].explanation.contains("your account has a new device, THIEF"))
        #expect(try await thief.takeNotices().isEmpty)
    }

    @Test func `a flood is told in parts`() async throws {
        let (alice, bob) = try await pair()
        for number in 0..<30 { _ = try await TrustDevice("bob", "D\(number)", on: server) }
        try await alice.look(at: bob)
        var counts: [Int] = []
        for _ in 0..<3 { counts.append(try await alice.takeNotices().count) }
        #expect(counts == [20, 10, 0])
    }

    @Test func `what nobody read is told again`() async throws {
        let (alice, bob) = try await pair()
        _ = try await TrustDevice("bob", "ADDED", on: server)
        try await alice.look(at: bob)
        let notices = try await alice.takeNotices()
        try await alice.write { try $0.putBack(notices, in: $1) }
        #expect(try await alice.takeNotices() == notices)
    }

    @Test func `a device whose keys our user has accepted is known`() async throws {
        let (alice, bob) = try await pair()
        try await alice.write { try $0.acceptNewKeys(of: bob.user, bob.device, in: $1) }
        try await alice.look(at: bob)
        #expect(try await alice.known(bob) != nil)
        #expect(try await alice.takeNotices().isEmpty)
    }

    @Test func `an identity that comes up later, or another, is told until it is verified`() async throws {
        let (alice, bob) = try await pair()
        for _ in 0..<2 {
            try await bob.makeIdentity()
            try await alice.look(at: bob)
            let notices = try await alice.takeNotices()
            #expect(notices.map(\.kind) == [.newIdentity])
            #expect(notices.map(\.key) == [try await alice.write { try $0.identity(of: bob.user, in: $1)?.master }])
            server.tell(of: "@bob:a")
            try await alice.look(at: bob)
            #expect(try await alice.takeNotices().isEmpty)
        }
        try await alice.makeIdentity()
        #expect(try await alice.takeNotices().isEmpty, "of our own making")
        try await bob.makeIdentity()
        try await alice.look(at: bob)
        try await alice.vouch(for: bob)
        #expect(try await alice.takeNotices().isEmpty, "verified before anybody looked")
    }
}

extension TrustDevice {
    fileprivate func takeNotices() async throws -> [TrustNotice] { try await write { try $0.takeTrustNotices(in: $1) } }
}
