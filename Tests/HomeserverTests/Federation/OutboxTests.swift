import HomeserverStorage
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import Homeserver

@Suite("What waits for other servers") struct OutboxTests {
    private let database: any Database

    init() async throws {
        database = try SQLiteDatabase.inMemory()
        try await Instance.migrate(database)
    }

    private func write<R: Sendable>(_ work: @escaping @Sendable (Outbox) throws -> R) async throws -> R {
        try await database.write { try work(Outbox($0)) }
    }

    @Test func `each destination gets events in order, once, and only those put in its way`() async throws {
        try await write { outbox in
            for position in 1...5 {
                try outbox.enqueue(
                    eventNID: Int64(position * 10), position: Int64(position), roomNID: 1,
                    destinations: position == 3 ? ["b"] : ["a", "b"])
            }
        }
        #expect(try await write { try $0.pendingPDUs(for: "a", limit: 3).map(\.eventNID) } == [10, 20, 40])
        #expect(try await write { try $0.pendingPDUs(for: "b", limit: 50).map(\.position) } == [1, 2, 3, 4, 5])
        try await write { outbox in
            try outbox.delivered("a", pdus: try outbox.pendingPDUs(for: "a", limit: 3), edus: [])
        }
        #expect(try await write { try $0.pendingPDUs(for: "a", limit: 50).map(\.position) } == [5])
        #expect(try await write { try $0.pendingPDUs(for: "b", limit: 50).count } == 5)
        #expect(try await write { try $0.pendingPDUs(for: "c", limit: 50).isEmpty })
        #expect(try await write { try $0.destination("a")?.sentPosition } == 4)
    }

    @Test func `what is sent once more comes once, and takes nothing newer out of the way`() async throws {
        try await write { outbox in
            for position in 1...5 {
                try outbox.enqueue(
                    eventNID: Int64(position * 10), position: Int64(position), roomNID: 1, destinations: ["a"])
            }
            try outbox.delivered("a", pdus: try outbox.pendingPDUs(for: "a", limit: 4), edus: [])
            let again = [2, 5].map { Outbox.PendingPDU(position: Int64($0), eventNID: Int64($0 * 10)) }
            for name in ["a", "b"] {
                try outbox.enqueueAgain(again, roomNID: 1, destination: name)
                try outbox.enqueueAgain([again[0]], roomNID: 1, destination: name)
            }
        }
        for name in ["a", "b"] {
            #expect(try await write { try $0.pendingPDUs(for: name, limit: 9).map(\.eventNID) } == [20, 50])
            #expect(try await write { try $0.newest(in: 1, for: name) } == 5)
        }
        // Who catches up gets the newest of the room, as ever.
        try await write { outbox in
            try outbox.failed("b", retryAt: 0, keep: 1, keepEDUs: 1)
            try outbox.enqueueAgain([.init(position: 2, eventNID: 20)], roomNID: 1, destination: "b")
        }
        #expect(try await write { try $0.pendingPDUs(for: "b", limit: 9).isEmpty })
    }

    @Test func `what was refused while a server catches up stays, what it got past is sent again`() async throws {
        func sent() async throws -> Int64? { try await write { try $0.destination("a")?.sentPosition } }
        func item(_ position: Int64) -> Outbox.PendingPDU { .init(position: position, eventNID: position * 10) }
        try await write { outbox in
            for position in 3...6 {
                try outbox.enqueue(
                    eventNID: Int64(position * 10), position: Int64(position), roomNID: 1, destinations: ["a"])
            }
            try outbox.failed("a", retryAt: 0, keep: 1, keepEDUs: 1)
        }
        #expect(try await sent() == 2)
        // Tried out of its turn, it says nothing of what comes before it.
        let five = item(5)
        try await write { try $0.delivered("a", pdus: [five], edus: [], isInOrder: false) }
        #expect(try await sent() == 2)
        let (three, four) = (item(3), item(4))
        try await write { outbox in
            try outbox.keepRefused("a", [three])
            try outbox.delivered("a", pdus: [five], edus: [])
            // The room is entered anew: what was passed by is sent, for nothing else leads to it.
            try outbox.enqueueAgain([four], roomNID: 1, destination: "a")
            try outbox.passOver("a", upTo: 4)
        }
        #expect(try await sent() == 5)
        #expect(try await write { try $0.pendingPDUs(for: "a", limit: 9).map(\.position) } == [3, 4])
        // Whoever has not kept up by then gets the newest of each room from before what it lacks.
        try await write { try $0.failed("a", retryAt: 0, keep: 1, keepEDUs: 1) }
        #expect(try await sent() == 2)
    }

    @Test func `whether something of a room still waits for a server is known, also of one that is caught up with`()
        async throws
    {
        try await write { outbox in
            for position in 1...5 {
                try outbox.enqueue(
                    eventNID: Int64(position * 10), position: Int64(position), roomNID: position < 3 ? 1 : 2,
                    destinations: ["a"])
            }
        }
        func waits(_ room: Int64, _ name: String = "a") async throws -> Bool {
            try await write { try $0.waits(room: room, for: name) }
        }
        #expect(try await write { try $0.newest(in: 1, for: "a") } == 2)
        #expect(try await write { try $0.newest(in: 1, for: "b") } == nil)
        #expect(try await waits(1))
        #expect(try await !waits(1, "b"))
        try await write { outbox in
            try outbox.delivered("a", pdus: try outbox.pendingPDUs(for: "a", limit: 2), edus: [])
        }
        #expect(try await !waits(1))
        #expect(try await waits(2))
        // Too far behind: its rows go, and what it was not sent still waits.
        try await write { try $0.failed("a", retryAt: 100, keep: 1, keepEDUs: 1) }
        #expect(try await write { try $0.destination("a")?.isCatchingUp } == true)
        #expect(try await !waits(1))
        #expect(try await waits(2))
    }

    @Test func `an event for many servers reaches each of them`() async throws {
        let names = (0..<300).map { "s\($0)" }
        try await write { try $0.enqueue(eventNID: 1, position: 1, roomNID: 1, destinations: names) }
        #expect(try await write { try $0.due(now: 1, limit: 1_000).map(\.name).sorted() } == names.sorted())
        for name in ["s0", "s63", "s64", "s299"] {
            #expect(try await write { try $0.pendingPDUs(for: name, limit: 9).count } == 1)
        }
    }

    @Test func `a newer EDU takes the place of the older of its key`() async throws {
        try await write { outbox in
            for (text, key) in [("1", "k"), ("2", nil), ("3", nil), ("4", "k"), ("5", "l")] as [(String, String?)] {
                try outbox.enqueueEDU(Array(text.utf8), to: "a", dedupeKey: key, now: 1, sealer: .plain)
            }
            try outbox.enqueueEDU(Array("6".utf8), to: "b", dedupeKey: "k", now: 1, sealer: .plain)
        }
        func texts(_ name: String, limit: Int) async throws -> [String] {
            try await write {
                try $0.pendingEDUs(for: name, limit: limit, sealer: .plain).map {
                    String(decoding: $0.body, as: UTF8.self)
                }
            }
        }
        #expect(try await texts("a", limit: 9) == ["2", "3", "4", "5"])
        #expect(try await texts("b", limit: 9) == ["6"])
        // What takes a place while the older is on its way is not lost when that arrives.
        let onItsWay = try await write { try $0.pendingEDUs(for: "a", limit: 9, sealer: .plain) }
        try await write { try $0.enqueueEDU(Array("7".utf8), to: "a", dedupeKey: "k", now: 1, sealer: .plain) }
        try await write { try $0.delivered("a", pdus: [], edus: onItsWay) }
        #expect(try await texts("a", limit: 9) == ["7"])
        try await write { outbox in
            for number in 0..<9 {
                try outbox.enqueueEDU([UInt8(number + 0x30)], to: "a", dedupeKey: nil, now: 1, sealer: .plain)
            }
            try outbox.failed("a", retryAt: 9, keep: 10, keepEDUs: 4)
        }
        // Each kind has its own bound, so that a flood of messages drops no news of device lists.
        #expect(try await texts("a", limit: 9) == ["7", "5", "6", "7", "8"])
    }

    @Test func `EDUs that waited too long are dropped, but not news of device lists`() async throws {
        try await write { outbox in
            for time in 1...4 {
                try outbox.enqueueEDU([UInt8(time)], to: "a", dedupeKey: nil, now: Int64(time), sealer: .plain)
            }
            try outbox.enqueueEDU([9], to: "a", dedupeKey: "device_list:@a:b", now: 1, sealer: .plain)
        }
        #expect(try await write { try $0.dropEDUs(before: 3) } == 2)
        #expect(
            try await write { try $0.pendingEDUs(for: "a", limit: 9, sealer: .plain).map(\.body) } == [[3], [4], [9]])
    }

    @Test func `one node at a time sends to a destination`() async throws {
        func lease(_ node: String, _ now: Int64) async throws -> Bool {
            try await write { try $0.lease("a", holder: node, now: now, until: now + 100) }
        }
        #expect(try await lease("x", 0))
        #expect(try await !lease("y", 50))
        #expect(try await lease("x", 50))
        #expect(try await !lease("y", 149))
        #expect(try await lease("y", 150))
        try await write { try $0.release("a", holder: "x") }
        #expect(try await !lease("x", 160))
        try await write { try $0.release("a", holder: "y") }
        #expect(try await lease("x", 160))
    }

    @Test func `who fails waits, after those who answer, until it is heard of`() async throws {
        try await write { outbox in
            for name in ["a", "b"] { try outbox.enqueue(eventNID: 1, position: 1, roomNID: 1, destinations: [name]) }
            try outbox.failed("a", retryAt: 100, keep: 10, keepEDUs: 10)
            try outbox.failed("new", retryAt: 100, keep: 10, keepEDUs: 10)
        }
        #expect(try await write { try $0.due(now: 99, limit: 9).map(\.name) } == ["b"])
        let due = try await write { try $0.due(now: 100, limit: 9) }
        #expect(due.map(\.name) == ["b", "a"] && due.map(\.isFailing) == [false, true])
        #expect(try await write { try $0.wake("a") })
        #expect(try await write { try !$0.wake("b") })
        #expect(try await write { try $0.due(now: 50, limit: 9).map(\.name) } == ["b", "a"])
        #expect(try await write { try $0.destination("a")?.failures } == 1)
        try await write { try $0.delivered("a", pdus: [], edus: []) }
        #expect(try await write { try $0.destination("a")?.failures } == 0)
    }

    @Test func `turns are given once at a time, are not forgotten, and half of them to the slow at most`() {
        let turns = WorkTurns(limit: 4)
        #expect(turns.begin("a") && !turns.begin("a"))
        #expect(turns.end("a") == ["a"])
        #expect(turns.begin("a") && turns.end("a").isEmpty)
        for name in ["s1", "s2", "s3"] { turns.note(name, isSlow: true) }
        #expect(turns.begin("s1") && turns.begin("s2") && !turns.begin("s3"))
        #expect(turns.begin("a") && turns.begin("b") && !turns.begin("c"))
        #expect(turns.end("a") == ["c"])
        #expect(turns.end("s1") == ["s3"])
        #expect(turns.begin("s3") && turns.begin("c"))
    }
}
