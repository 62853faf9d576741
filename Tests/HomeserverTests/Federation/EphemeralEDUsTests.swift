import Testing

@testable import Homeserver

@Suite("EDUs that may be lost") struct EphemeralEDUsTests {
    private let edus = EphemeralEDUs()

    private func add(_ text: String, key: String, to destination: String = "a", at seconds: Int = 0) {
        edus.add(Array(text.utf8), key: key, to: destination, at: .seconds(seconds))
    }

    private func take(_ destination: String = "a", limit: Int = 100, at seconds: Int = 0) -> [String] {
        edus.take(destination, limit: limit, at: .seconds(seconds)).map { String(decoding: $0.body, as: UTF8.self) }
    }

    @Test func `a newer one takes the place of the older of its key, for its destination only`() {
        add("is typing", key: "typing !r")
        add("has read", key: "receipt !r @u")
        add("has read", key: "receipt !r @u", to: "b")
        add("stopped typing", key: "typing !r")
        #expect(take() == ["has read", "stopped typing"])
        #expect(take("b") == ["has read"])
        #expect(take().isEmpty && take("b").isEmpty)
    }

    @Test func `what is older than a minute is not sent`() {
        add("old", key: "1", at: 0)
        add("new", key: "2", at: 1)
        #expect(take(at: 61) == ["new"])
        add("old", key: "1", at: 0)
        #expect(take(at: 60) == ["old"])
        // Age counts from when it was said last.
        add("said", key: "1", at: 0)
        add("said again", key: "1", at: 50)
        #expect(take(at: 100) == ["said again"])
    }

    @Test func `a hundred wait for a destination, and of more the newest`() {
        for number in 0...EphemeralEDUs.perDestination { add("\(number)", key: "\(number)") }
        #expect(take(limit: 500) == (1...100).map { "\($0)" })
        // What is too old makes room first.
        for number in 0..<EphemeralEDUs.perDestination { add("\(number)", key: "\(number)", at: number < 2 ? 0 : 50) }
        add("last", key: "last", at: 70)
        #expect(take(limit: 500, at: 70) == (2..<100).map { "\($0)" } + ["last"])
    }

    @Test func `those for which there is no place now come next, oldest first`() {
        for number in 0..<5 { add("\(number)", key: "\(number)") }
        #expect(take(limit: 0).isEmpty)
        #expect(take(limit: 2) == ["0", "1"])
        #expect(edus.waits(for: "a"))
        #expect(take(limit: 3) == ["2", "3", "4"])
        #expect(!edus.waits(for: "a") && edus.destinations.isEmpty)
    }

    @Test func `a destination that fails loses them, and no other`() {
        add("1", key: "1")
        add("2", key: "2", to: "b")
        edus.drop("a")
        edus.drop("c")
        #expect(edus.destinations == ["b"])
        #expect(take().isEmpty && take("b") == ["2"])
    }

    @Test func `destinations are bound, and those that have a place keep it`() {
        for number in 0...EphemeralEDUs.destinations { add("x", key: "x", to: "\(number)") }
        #expect(edus.destinations.count == EphemeralEDUs.destinations)
        #expect(!edus.waits(for: "\(EphemeralEDUs.destinations)"))
        add("y", key: "y", to: "7")
        #expect(take("7") == ["x", "y"])
        add("x", key: "x", to: "new")
        #expect(take("new") == ["x"])
    }
}
