import MatrixModel
import SQLDatabase
import Testing

@testable import ClientEncryption

@Suite("Room keys for many") struct ManyRecipientsTests {
    private let settings = RoomEncryptionSettings(JSONValue.object(["algorithm": "m.megolm.v1.aes-sha2"]))

    /// Alice, who has a channel to so many others.
    private func room(of count: Int) async throws -> (alice: TrustDevice, others: [UserID]) {
        let server = KeyServer()
        let alice = try await TrustDevice("alice", on: server)
        var users: [UserID] = []
        for number in 0..<count { users.append(try await TrustDevice("user\(number)", on: server).user) }
        let others = users
        try await alice.write { try $0.track(others + [$0.user], in: $1) }
        while let query = try await alice.write({ try $0.keyQuery(for: nil, in: $1) }) {
            let answer = try alice.call(query.call)
            _ = try await alice.write { try $0.queried(query, response: answer, in: $1) }
        }
        while let claim = try await alice.write({ try $0.keyClaim(for: others, in: $1) }) {
            let answer = try alice.call(claim.call)
            _ = try await alice.write { try $0.claimed(claim, response: answer, in: $1) }
        }
        return (alice, others)
    }

    @Test func `who is to read is asked at once, however many they are`() async throws {
        var counts: [[Int]] = []
        for count in [2, 12] {
            let (alice, others) = try await room(of: count)
            let (room, settings) = (try RoomID("!room:a"), settings)
            let first = try await alice.statements {
                try $0.prepareRoomKey(for: room, recipients: others, settings: settings, in: $1)
            }
            #expect(first.filter { $0.contains("INSERT INTO room_key_shares") }.count == count)
            #expect(first.filter { $0 == "SELECT hybrid_offered FROM olm_account" }.count == 1, "signed once")
            let again = try await alice.statements {
                try $0.track(others, in: $1)
                let isClaimDue = try $0.keyClaim(for: others, in: $1) != nil
                #expect(!isClaimDue)
                try $0.prepareRoomKey(for: room, recipients: others, settings: settings, in: $1)
            }
            let check = try await alice.statements {
                let isPrepared = try $0.isPrepared(for: room, recipients: others, settings: settings, in: $1)
                #expect(isPrepared)
            }
            counts.append([again.count, check.count])
        }
        #expect(counts[0] == counts[1])
    }

    @Test(arguments: [1, 499, 500, 501, 1_000, 1_001])
    func `users are asked about in portions, each once`(count: Int) async throws {
        let alice = try await TrustDevice("alice", on: KeyServer())
        let users = try (0..<count).map { try UserID("@user\($0):a") }
        var portions: [Int] = []
        let answers = alice.machine.askAbout(users + users.reversed()) { names in
            portions.append(names.count)
            return names
        }
        #expect(answers.count == count && Set(answers) == Set(users.map(\.text)))
        #expect(portions.allSatisfy { (1...500).contains($0) })
    }

    @Test func `whose devices are not known as they are now is told of each`() async throws {
        let alice = try await TrustDevice("alice", on: KeyServer())
        let users = try (0..<1_200).map { try UserID("@user\($0):a") }
        let stale = try await alice.write { machine, connection in
            try machine.track(users.dropFirst(300), in: connection)
            for user in users.dropFirst(600) {
                try connection.execute("UPDATE tracked_users SET current = wanted WHERE user_id = \(user.text)")
            }
            try machine.track(users.dropFirst(300), in: connection)
            return try machine.staleUsers(among: users, in: connection)
        }
        #expect(stale == Array(users.prefix(600)), "who is followed already is not asked for anew")
    }
}
