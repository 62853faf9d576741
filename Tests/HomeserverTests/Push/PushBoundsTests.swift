import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Bounds of sending notifications") struct PushBoundsTests {
    @Test func `a pusher that waits for its gateway waits once`() {
        let turns = GatewayTurns(limit: 1)
        #expect(turns.begin("g", 1))
        for _ in 0..<3 { #expect(!turns.begin("g", 2)) }
        #expect(!turns.begin("g", 3))
        #expect(turns.begin("h", 2))
        #expect(turns.end("g") == 2)
        #expect(turns.begin("g", 2))
        #expect(turns.end("g") == 3)
        #expect(turns.end("g") == nil)
        // A place was given back for each.
        #expect(turns.begin("g", 4))
    }

    @Test func `only so many pushers wait for a gateway`() {
        let turns = GatewayTurns(limit: 1)
        #expect(turns.begin("g", 0))
        for pusher in 1...Int64(PushLimits.page + 5) { #expect(!turns.begin("g", pusher)) }
        var named = 0
        while turns.end("g") != nil { named += 1 }
        #expect(named == PushLimits.page)
    }

    @Test func `of many rooms it is only known that there is something`() {
        var hint = PushHints.Hint(rooms: [], checksBadge: false)
        for room in 1...Int64(PushLimits.roomsPerHint) { hint.add(.init(rooms: [room], checksBadge: false)) }
        #expect(hint.rooms?.count == PushLimits.roomsPerHint)
        hint.add(.init(rooms: [0], checksBadge: true, upTo: 7))
        #expect(hint.rooms == nil && hint.checksBadge && hint.upTo == 7)
        hint.add(.init(rooms: [1], checksBadge: false, upTo: 3))
        #expect(hint.rooms == nil && hint.checksBadge && hint.upTo == 7)
    }

    @Test func `beyond so many pushers a hint is refused, and those that have one go on`() {
        let hints = PushHints()
        let hint = PushHints.Hint(rooms: [1], checksBadge: false)
        for pusher in 0..<Int64(PushLimits.hints) { _ = hints.add(hint, for: pusher) }
        #expect(!hints.add(hint, for: -1))
        #expect(hints.add(.init(rooms: [2], checksBadge: false), for: 0))
        #expect(hints.take(0)?.rooms == [1, 2])
        #expect(hints.add(hint, for: -1))
    }

    @Test func `a pusher that could not be looked at is left alone, longer each time`() {
        let hints = PushHints()
        _ = hints.add(.init(rooms: nil, checksBadge: true), for: 1)
        var asked: [Int] = []
        func fail(at now: Duration) {
            hints.failed(1, now: now) { failures in
                asked.append(failures)
                return Int64(1_000 << failures)
            }
        }
        fail(at: .zero)
        #expect(hints.isPaused(1, at: .milliseconds(999)) && !hints.isPaused(1, at: .milliseconds(1_000)))
        #expect(hints.waiting(at: .zero) == [] && hints.waiting(at: .seconds(1)) == [1])
        fail(at: .seconds(1))
        #expect(hints.isPaused(1, at: .milliseconds(2_999)) && !hints.isPaused(1, at: .seconds(3)))
        hints.succeeded(1)
        #expect(hints.waiting(at: .zero) == [1])
        fail(at: .zero)
        #expect(asked == [0, 1, 0])
    }
}
