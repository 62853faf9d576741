import ClientEncryption
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit

/// A server adds a device to somebody's account.
extension FaultCase {
    static let added: [FaultCase] = [
        FaultCase(
            "server adds a device to somebody without cross-signing keys", .told("a new device, which gets the keys")
        ) { try await adding(in: $0) },
        FaultCase(
            "server adds a device to somebody with cross-signing keys", .told("a new device, which gets no keys")
        ) { try await adding(in: $0, signing: true) },
        FaultCase(
            "server adds a device to one's own account", .told("a new device of one's own, which gets the keys")
        ) { try await adding(in: $0, own: true) },
    ]

    private static func adding(
        in world: FaultWorld, signing: Bool = false, own: Bool = false
    ) async throws -> Outcome {
        let pair = try await FaultPair(world)
        let (alice, bob) = (pair.alice, pair.bob)
        if signing { try await bob.makeIdentity() }
        try await pair.talk()
        #expect(try await alice.notices().isEmpty, "who is met is no news")
        let added = try AddedDevice(to: own ? alice.user : bob.user)
        alice.line.change { added.change($0, $1) }
        try await alice.noteChanged(added.user)
        try await alice.step()
        try await alice.say("for bob", pair.room)

        // It is told also after a crash, and once.
        try await alice.restart()
        let notices = try await alice.notices()
        try await alice.noteChanged(added.user)
        try await alice.step()
        try await alice.restart()
        #expect(try await alice.notices().isEmpty, "it is told once")
        #expect((added.messageCount > 0) != signing, "an unsigned device gets keys only where its owner signs none")
        #expect(try await pair.bobReads("hello", "hi", "for bob") == .decrypted)
        guard notices.count == 1, let notice = notices.first, notice.kind == .newDevice, notice.user == added.user,
            notice.device == added.device, !notice.isGone
        else { return .decrypted }
        return .told(
            "a new device\(notice.isOwn ? " of one's own" : ""), which gets \(notice.getsKeys ? "the" : "no") keys")
    }
}

extension FaultDevice {
    /// What its user is told now.
    fileprivate func notices() async throws -> [TrustNotice] {
        let told = Mutex<[TrustNotice]>([])
        try await client.tellTrustNotices { notice in
            told.withLock { $0.append(notice) }
            return true
        }
        return told.withLock { $0 }
    }
}
