import Cryptography
import FedchatTesting
import MatrixModel
import Testing

@testable import MatrixRooms

func sha1(_ id: EventID) -> [UInt8] { SHA1.hash(Array(id.text.utf8)) }

@Suite("Orderings of state resolution") struct OrderingTests {
    /// An event under a symbolic id; only what orderings look at.
    private func event(
        _ id: String, _ type: EventType = .topic, by sender: UserID = .alice, at timestamp: Int64 = 0,
        auth: [String] = [],
        content: JSONValue = [:], version: RoomVersion = .v11
    ) throws -> PDU {
        let value: JSONValue = [
            "type": .string(type.text), "sender": .string(sender.text), "state_key": "", "content": content, "depth": 1,
            "origin_server_ts": .integer(timestamp), "prev_events": [],
            "auth_events": .array(auth.map { .string("$" + $0) }),
        ]
        return try PDU(
            trusted: value.serialized(), id: EventID("$" + id), roomID: RoomID("!r:one.test"), version: version)
    }

    private func graph(_ events: [PDU]) -> [EventID: PDU] {
        Dictionary(events.map { ($0.id, $0) }) { first, _ in first }
    }

    private func names(_ events: [PDU]) -> String {
        events.map { String($0.id.text.dropFirst()) }.joined(separator: " ")
    }

    @Test func `auth events come first, then power, time and id decide`() throws {
        let create = try event("create", .create)
        let events = try [
            create,
            event(
                "levels", .powerLevels, auth: ["create"],
                content: ["users": ["@alice:one.test": 100, "@bob:two.test": 50]]),
            event("weak", by: .mallory, at: 1, auth: ["levels"]),
            event("late", by: .bob, at: 9, auth: ["levels"]),
            event("b", by: .bob, at: 5, auth: ["levels"]),
            event("a", by: .bob, at: 5, auth: ["levels"]),
            event("strong", by: .alice, at: 99, auth: ["levels", "late"]),
        ]
        let all = graph(events)
        let sorted = PowerOrdering(graph: all, create: create).sort(all)
        #expect(names(sorted) == "create levels a b late strong weak")
    }

    @Test func `a sender without power levels has what the creator has`() throws {
        let create = try event("create", .create)
        let events = try [
            event("a", by: .bob, at: 1, auth: ["create"]), event("b", by: .alice, at: 2, auth: ["create"]),
        ]
        let sorted = PowerOrdering(graph: graph(events + [create]), create: create).sort(graph(events))
        #expect(names(sorted) == "b a")
    }

    @Test func `a circle ends, and is left out`() throws {
        let create = try event("create", .create, version: .v2)
        let events = try [
            event("a", .powerLevels, auth: ["b"]), event("b", .powerLevels, auth: ["a"]), event("c"),
        ]
        let all = graph(events)
        #expect(names(PowerOrdering(graph: all, create: create).sort(all)) == "c")
        #expect(names(Mainline(of: try EventID("$a"), in: all).sort(events)) == "c a b")
        #expect(try all.conflictedStateSubgraph([try EventID("$a"), try EventID("$c")]).count == 3)
    }

    @Test func `a level that cannot be read is 0`() throws {
        let create = try event("create", .create)
        let levels: JSONValue = ["users": ["@bob:two.test": "x", "@carol:one.test": 1]]
        let events = try [
            event("b", by: .bob, at: 1, auth: ["levels"]), event("c", by: .carol, at: 2, auth: ["levels"]),
        ]
        let all = graph(events + [create, try event("levels", .powerLevels, content: levels)])
        #expect(names(PowerOrdering(graph: all, create: create).sort(graph(events))) == "c b")
    }

    @Test func `a circle beside the mainline ends too`() throws {
        let events = try [
            event("p0", .powerLevels), event("x", .powerLevels, auth: ["y"]), event("y", .powerLevels, auth: ["x"]),
            event("on", at: 1, auth: ["p0"]), event("round", at: 2, auth: ["x"]),
        ]
        let mainline = Mainline(of: try EventID("$p0"), in: graph(events))
        #expect(names(mainline.sort(events.filter { $0.type != .powerLevels })) == "round on")
    }

    @Test func `the mainline orders by the power levels that events rest on`() throws {
        let events = try [
            event("p2", .powerLevels), event("p1", .powerLevels, auth: ["p2"]), event("p0", .powerLevels, auth: ["p1"]),
            event("side", .powerLevels, auth: ["p2"]),
            event("new", at: 1, auth: ["p0"]), event("old", at: 9, auth: ["p1"]), event("aside", at: 8, auth: ["side"]),
            event("none", at: 10), event("never", at: 11, auth: ["lost"]),
        ]
        let mainline = Mainline(of: try EventID("$p0"), in: graph(events))
        let others = events.filter { $0.type != .powerLevels }
        #expect(names(mainline.sort(others)) == "none never aside old new")
        #expect(names(Mainline(of: nil, in: graph(events)).sort(others)) == "new aside old none never")
    }

    @Test func `the subgraph is what lies between`() throws {
        // c1 → x → c2, c1 → y → z, w → c1
        let events = try [
            event("z"), event("c2"), event("x", auth: ["c2"]), event("y", auth: ["z"]), event("c1", auth: ["x", "y"]),
            event("w", auth: ["c1"]),
        ]
        let conflicted: Set<EventID> = [try EventID("$c1"), try EventID("$c2")]
        let subgraph = try graph(events).conflictedStateSubgraph(conflicted)
        #expect(Set(subgraph.map(\.text)) == ["$c1", "$x", "$c2"])
    }

    @Test func `a long chain is walked without a deep stack`() throws {
        var events = try [event("0", .powerLevels)]
        for index in 1..<20_000 { events.append(try event("\(index)", .powerLevels, auth: ["\(index - 1)"])) }
        let all = graph(events)
        let ends: Set<EventID> = [try EventID("$0"), try EventID("$19999")]
        #expect(try all.conflictedStateSubgraph(ends).count == 20_000)
        #expect(try all.fullAuthChain(of: [EventID("$19999")]).count == 20_000)
        let create = try event("create", .create)
        #expect(PowerOrdering(graph: all, create: create).sort(all).map(\.id.text).last == "$19999")
        let mainline = Mainline(of: try EventID("$19999"), in: all)
        #expect(mainline.sort(events).first?.id.text == "$0")
    }

    @Test func `the queue gives back the least`() {
        var generator = SplitMix64(seed: 1)
        let numbers = (0..<500).map { _ in Int.random(in: 0..<100, using: &generator) }
        var queue = PriorityQueue<Int>()
        for number in numbers { queue.insert(number) }
        var popped: [Int] = []
        while let least = queue.popMin() { popped.append(least) }
        #expect(popped == numbers.sorted())
    }
}
