import HomeserverStorage
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Events that wait to be judged") struct InboundStagingTests {
    private static let room = "!room:test"
    private static let slow = InboundStaging.Lane(roomID: room, fetches: true)

    private func play(
        _ store: TestStore, _ test: @escaping @Sendable (InboundStaging) throws -> Void
    ) async throws {
        try await store.run { database, _ in
            try await Instance.migrate(database)
            try await database.write { try test(InboundStaging($0)) }
        }
    }

    private static func stage(
        _ staging: InboundStaging, _ event: String, by origin: String, isOwn: Bool = false, isResident: Bool = true
    ) throws {
        try staging.stage(
            origin: origin, roomID: room, eventID: event, body: [1], isOwn: isOwn, isResident: isResident, now: 1,
            sealer: .plain)
    }

    private static func waiting(_ staging: InboundStaging) throws -> [InboundStaging.Staged] {
        try [true, false].flatMap {
            try staging.staged(
                in: .init(roomID: room, fetches: $0), now: .max, limit: 100, sealer: .plain)
        }
    }

    @Test(arguments: TestStore.available)
    func `whoever has most in a room loses what is too much, the hopeless first`(_ store: TestStore) async throws {
        try await play(store) { staging in
            for number in 0..<6 { try Self.stage(staging, "$evil\(number)", by: "evil") }
            for number in 0..<2 { try Self.stage(staging, "$good\(number)", by: "good") }
            let hopeless = try #require(try Self.waiting(staging).first { $0.eventID == "$evil2" })
            try staging.needsFetch(hopeless.nid)
            #expect(try staging.trim(room: Self.room, to: 8) == [])
            #expect(try staging.trim(room: Self.room, to: 5) == ["$evil2", "$evil5", "$evil4"])
            let left = Set(try Self.waiting(staging).map(\.eventID))
            #expect(left == ["$evil0", "$evil1", "$evil3", "$good0", "$good1"])
        }
    }

    @Test(arguments: TestStore.available)
    func `what of a server waits in a room is counted by whether it was tried`(_ store: TestStore) async throws {
        try await play(store) { staging in
            for number in 0..<4 { try Self.stage(staging, "$\(number)", by: "one") }
            try Self.stage(staging, "$other", by: "two")
            let staged = try Self.waiting(staging)
            try staging.needsFetch(staged[0].nid)
            try staging.postpone(staged[1], until: 5, others: 5)
            var share = InboundStaging.Share()
            (share.fresh, share.held) = (2, 2)
            #expect(try staging.shares(of: "one", in: [Self.room, "!none:test"]) == [Self.room: share])
            #expect(try staging.origins(in: Self.slow, now: 10) == ["one"])
        }
    }

    @Test(arguments: TestStore.available)
    func `an event is asked for at its sender's own server once that has sent it`(_ store: TestStore) async throws {
        try await play(store) { staging in
            try Self.stage(staging, "$event", by: "relay")
            try Self.stage(staging, "$event", by: "other")
            let first = try #require(try Self.waiting(staging).first)
            #expect(first.origin == "relay")
            try staging.needsFetch(first.nid)
            try staging.postpone(first, until: 1_000, others: 1_000)
            try staging.postpone(first, until: 1_000, others: 1_000)
            #expect(try staging.staged(in: Self.slow, now: 10, limit: 1, sealer: .plain).isEmpty)
            // After a try in vain anybody else in the room is better, in its time; its sender's server is so in any case.
            try Self.stage(staging, "$event", by: "stranger", isResident: false)
            try Self.stage(staging, "$event", by: "other")
            #expect(try staging.staged(in: Self.slow, now: 999, limit: 1, sealer: .plain).isEmpty)
            let second = try #require(try staging.staged(in: Self.slow, now: 1_000, limit: 1, sealer: .plain).first)
            #expect(second.origin == "other" && second.tries == 1)
            try Self.stage(staging, "$event", by: "own", isOwn: true)
            try Self.stage(staging, "$event", by: "relay")
            let third = try Self.waiting(staging)
            #expect(third.map(\.origin) == ["own"] && third.map(\.nid) == [first.nid])
            // Whoever gives up what it tried with another gives up nothing of this.
            try staging.giveUp(second)
            try staging.postpone(second, until: 9_000, others: 0)
            #expect(try Self.waiting(staging).map(\.tries) == [0])
            #expect(try staging.staged(in: Self.slow, now: 10, limit: 1, sealer: .plain).count == 1)
            try staging.giveUp(try #require(third.first))
            #expect(try Self.waiting(staging).isEmpty)
        }
    }

    @Test(arguments: TestStore.available)
    func `who sent an event too is remembered, eight at most`(_ store: TestStore) async throws {
        try await play(store) { staging in
            func waiting(_ event: String = "$event") throws -> InboundStaging.Staged {
                try #require(try Self.waiting(staging).first { $0.eventID == event })
            }
            func expect(_ origin: String, _ others: [String], for event: String = "$event") throws {
                let staged = try waiting(event)
                #expect(staged.origin == origin && staged.others == others)
            }
            for name in ["first", "second", "first", "second", "third"] {
                try Self.stage(staging, "$event", by: name)
            }
            try Self.stage(staging, "$event", by: "stranger", isResident: false)
            try expect("first", ["second", "third"])
            // Who is asked in its place is no longer among the others, and it is, for it was not asked yet.
            try Self.stage(staging, "$event", by: "third", isOwn: true)
            try expect("third", ["second", "first"])
            try staging.postpone(try waiting(), until: 9, others: 9)
            let tried = try waiting()
            try Self.stage(staging, "$event", by: "second")
            try expect("second", ["first", "third"])
            // A try counts, whoever sends the event meanwhile.
            try staging.postpone(tried, until: 9, others: 9)
            #expect(try waiting().tries == 2)
            for number in 0..<9 { try Self.stage(staging, "$other", by: "\(number)") }
            for number in 0..<9 { try Self.stage(staging, "$other", by: "\(number)") }
            try Self.stage(staging, "$other", by: "tenth")
            try expect("0", (1..<9).map(String.init), for: "$other")
        }
    }
}
