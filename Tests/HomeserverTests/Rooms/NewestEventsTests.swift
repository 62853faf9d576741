import HomeserverStorage
import Testing

@testable import Homeserver

@Suite("The newest events as they come") struct NewestEventsTests {
    private func state(_ number: UInt8) throws -> StateRoot {
        try #require(StateRoot([number] + [UInt8](repeating: 0, count: 15)))
    }

    @Test func `what is followed is no longer among them, whenever it came`() throws {
        var newest = NewestEvents()
        newest.take(1, depth: 1, state: try state(1), following: [])
        newest.take(2, depth: 2, state: try state(2), following: [1])
        #expect(newest.states(limit: 10) == [try state(2)])
        newest.take(4, depth: 4, state: try state(4), following: [2, 3])
        newest.take(3, depth: 3, state: try state(3), following: [2])
        #expect(newest.states(limit: 10) == [try state(4)])
        newest.take(5, depth: 5, state: nil, following: [])
        #expect(newest.states(limit: 10) == [try state(4)])
    }

    @Test func `of many states those after the deepest count`() throws {
        var newest = NewestEvents()
        for number in UInt8(1)...5 {
            newest.take(Int64(number), depth: Int64(number), state: try state(number), following: [])
            newest.take(Int64(number) + 10, depth: 0, state: try state(number), following: [])
        }
        #expect(newest.states(limit: 5).count == 5)
        #expect(newest.states(limit: 2) == [try state(4), try state(5)])
        newest.take(20, depth: 9, state: try state(5), following: [5])
        #expect(newest.states(limit: 2) == [try state(5), try state(4)])
    }
}
