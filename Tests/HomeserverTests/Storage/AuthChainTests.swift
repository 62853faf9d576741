import FedchatTesting
import Homeserver
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import HomeserverStorage

/// A room whose history forks again and again, and who knows what is in it: events are not checked when they are made.
private struct ForkedRoom {
    private var random: SplitMix64
    private let users: [UserID]
    private(set) var branches: [TestRoom]
    /// All events, each after those it names.
    private(set) var events: [PDU]

    init(seed: UInt64, version: RoomVersion, steps: Int) throws {
        random = SplitMix64(seed: seed)
        users = try (0..<7).map { try UserID("@user\($0):test") }
        var room = TestRoom(version, creator: users[0])
        for user in users.dropFirst().prefix(3) { room.join(user) }
        branches = [room]
        events = room.order.compactMap { room.events[$0] }
        for _ in 0..<steps { step() }
    }

    private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    private mutating func step() {
        var number = below(branches.count)
        if branches.count < 6, below(6) == 0 {
            branches.append(branches[number])
            number = branches.count - 1
            // What a fork does is not what the other does at the same moment.
            branches[number].timestamp += Int64(number)
        }
        let (user, other) = (users[below(users.count)], users[below(users.count)])
        let event: PDU
        switch below(10) {
        case 0, 1: event = branches[number].join(user)
        case 2:
            event = branches[number].send(
                .member, by: user, stateKey: user.text,
                ["membership": "join", "displayname": .string("\(random.next())")])
        case 3: event = branches[number].leave(user)
        case 4: event = branches[number].invite(user, by: other)
        case 5: event = branches[number].ban(user, by: other)
        case 6, 7:
            var levels: [String: JSONValue] = [users[1].text: .integer(Int64(below(101)))]
            if !branches[number].rules.authorization.privilegedCreators { levels[users[0].text] = 100 }
            event = branches[number].setPowerLevels(["users": .object(levels)], by: below(3) == 0 ? user : users[0])
        case 8:
            event = branches[number].send(
                .joinRules, by: users[0], stateKey: "", ["join_rule": below(2) == 0 ? "public" : "invite"])
        default: event = branches[number].send(.topic, by: user, stateKey: "", ["topic": .string("\(random.next())")])
        }
        if !events.contains(where: { $0.id == event.id }) { events.append(event) }
    }

    /// Some of the branches, at least two.
    mutating func someBranches() -> [TestRoom] {
        var chosen: [TestRoom] = []
        for branch in branches where below(2) == 0 { chosen.append(branch) }
        return chosen.count > 1 ? chosen : branches
    }
}

/// The events of a room in a database.
private struct StoredRoom: Sendable {
    let fixture: RoomFixture
    let numbers: [EventID: Int64]
    let events: [EventID: PDU]
    let keys: [StateKey: Int64]
    let version: RoomVersion

    /// - Parameters:
    ///   - batch: how many events are appended at once.
    ///   - late: each so manyeth event comes after all others, and these lack it until then; 0 for none.
    init(_ room: ForkedRoom, stored: Int, batch: Int, late: Int = 0) async throws {
        let fixture = try await RoomFixture()
        self.fixture = fixture
        let events = room.events
        let first = room.branches[0]
        version = first.version
        // Later events have lesser numbers now and then, as where several nodes give numbers out.
        var numbers: [EventID: Int64] = [:]
        for (index, event) in events.enumerated() {
            numbers[event.id] = Int64(index % 5 == 4 ? 10_000 - index : 20_000 + index)
        }
        let given = numbers
        self.numbers = numbers
        self.events = Dictionary(events.map { ($0.id, $0) }) { first, _ in first }
        let stateKeys = Array(Set(events.compactMap { StateKey(of: $0) }))
        keys = try await fixture.environment.database.write {
            try StateWriter($0, fixture.reader.states).number(stateKeys)
        }
        func isLate(_ index: Int) -> Bool { late > 0 && index % late == late - 1 }
        let inTime = events.indices.prefix(stored).filter { !isLate($0) }.map { events[$0] }
        var there: Set<EventID> = []
        for start in stride(from: 0, to: inTime.count, by: batch) {
            try await append(Array(inTime[start..<min(start + batch, inTime.count)]), to: first, knowing: &there)
        }
        // From the newest, so that these too lack what they name.
        for event in events.indices.prefix(stored).filter(isLate).reversed().map({ events[$0] }) {
            let all = there.compactMap { given[$0] }
            try await append([event], to: first, knowing: &there)
            let states = fixture.reader.states
            let namers = try await fixture.environment.database.write { connection in
                _ = try AuthChains(EventLog(connection, .plain), states).edges(of: all)
                return try EventLog(connection, .plain).noteLateAuthEvents(of: all)
            }
            states.received("redacted " + namers.map { String($0) }.joined(separator: " "))
        }
    }

    private func append(_ part: [PDU], to room: TestRoom, knowing there: inout Set<EventID>) async throws {
        let isFirst = there.isEmpty
        there.formUnion(part.map(\.id))
        let (id, version, there, numbers) = (room.id, version, there, numbers)
        try await fixture.environment.database.write { connection in
            var append = RoomAppend(
                roomNID: 1, roomID: id, version: version, expectedHeadVersion: nil,
                head: isFirst ? RoomAppend.Head(state: .empty, extremities: [], depth: 1) : nil,
                state: StateChange(.empty), now: 1)
            append.events = part.map { event in
                EventInsertion(
                    nid: numbers[event.id] ?? 0, pdu: event, place: .none, flags: .outlier, stateAfter: nil,
                    authNIDs: event.authEvents.filter(there.contains).compactMap { numbers[$0] })
            }
            _ = try EventLog(connection, .plain).append(append)
        }
    }

    func root(of room: TestRoom) async throws -> StateChange {
        var changes: [Int64: Int64?] = [:]
        for (key, event) in room.state.events {
            if let number = keys[key] { changes.updateValue(numbers[event.id], forKey: number) }
        }
        let made = changes
        return try await fixture.environment.database.read {
            try StateWriter($0, fixture.reader.states).applying(made, to: StateChange(.empty))
        }
    }

    func nids(_ ids: some Sequence<EventID>) -> Set<Int64> { Set(ids.compactMap { numbers[$0] }) }
}

@Suite("Auth chains by index") struct AuthChainTests {
    @Test(arguments: 0..<30)
    func `the auth difference and what lies between are those that walking finds`(seed: Int) async throws {
        var room = try ForkedRoom(seed: UInt64(seed), version: .v11, steps: 120)
        // Of every third room the newest events are not stored yet.
        let stored = room.events.count - (seed % 3 == 0 ? 15 : 0)
        // And of every other some came after those that name them.
        let late = [0, 5, 0, 9][seed % 4]
        let server = try await StoredRoom(room, stored: stored, batch: [1, 7, 1_000][seed % 3], late: late)
        var unstored: [Int64: [Int64]] = [:]
        for event in room.events.dropFirst(stored) where event.isState {
            unstored[server.numbers[event.id] ?? 0] = event.authEvents.compactMap { server.numbers[$0] }
        }
        let missing = unstored
        for _ in 0..<5 {
            let states = room.someBranches().map { $0.state.events.mapValues(\.id) }
            let ids = states.map { Set($0.values) }
            let common = ids.dropFirst().reduce(ids[0]) { $0.intersection($1) }
            let conflicted = Set(ids.joined()).subtracting(common)
            let expected = authDifference(of: try ids.map { try server.events.fullAuthChain(of: $0) })
            let subgraph = try server.events.conflictedStateSubgraph(conflicted)

            let (found, between) = try await server.fixture.environment.database.read { connection in
                let log = EventLog(connection, .plain)
                let chains = AuthChains(log, server.fixture.reader.states, unstored: missing)
                let difference = try chains.difference(of: ids.map { server.nids($0.subtracting(common)) }) {
                    server.nids(common)
                }
                return (difference, try chains.between(server.nids(conflicted)))
            }
            // What is in conflict is in the full conflicted set in any case.
            #expect(found.subtracting(server.nids(conflicted)) == server.nids(expected.subtracting(conflicted)))
            #expect(between == server.nids(subgraph))
        }
    }

    @Test(arguments: [RoomVersion.v1, .v6, .v11, .v12], 0..<8)
    func `stored states resolve as those in memory do`(version: RoomVersion, seed: Int) async throws {
        var room = try ForkedRoom(seed: UInt64(1_000 + seed), version: version, steps: 80)
        let server = try await StoredRoom(room, stored: room.events.count, batch: 9, late: seed % 2 * 6)
        for _ in 0..<3 {
            let branches = room.someBranches()
            let states = branches.map { $0.state.events.mapValues(\.id) }
            let difference = authDifference(of: try states.map { try server.events.fullAuthChain(of: $0.values) })
            let expected = try resolve(states, authDifference: difference, in: server.events, by: version.rules)

            var pending = StateChange(.empty)
            var roots: [StateRoot] = []
            for branch in branches {
                let change = try await server.root(of: branch)
                roots.append(change.root)
                pending.merge(change)
            }
            let (known, wanted) = (pending, roots)
            let state = try await server.fixture.environment.database.read { connection in
                let states = server.fixture.reader.states
                let merged = try StateMerge(
                    connection, sealer: .plain, states: states, events: server.fixture.reader.events
                ).resolve(wanted, version: version, pending: known)
                return try StateReader(connection, states, pending: merged).all(at: merged.root)
            }
            #expect(state == expected.compactMapValues { server.numbers[$0] })
        }
    }

    @Test func `a member's renamings are one chain, and events that nobody names have no place`() async throws {
        var room = TestRoom(.v12)
        let bob = try UserID("@bob:test")
        for number in 0..<50 {
            room.send(
                .member, by: bob, stateKey: bob.text,
                ["membership": "join", "displayname": .string("\(number)")])
            room.send(.topic, by: bob, stateKey: "", ["topic": .string("\(number)")])
        }
        let server = try await StoredRoom(ForkedRoom(of: room), stored: room.order.count, batch: 3)
        let memberships = server.nids(
            room.order.filter { room.events[$0]?.type == .member && room.events[$0]?.stateKey == bob.text })
        let topics = server.nids(room.order.filter { room.events[$0]?.type == .topic })
        try await server.fixture.environment.database.read { connection in
            let positions = try AuthPlacing.positions(of: memberships, connection)
            #expect(Set(positions.values.map(\.chain)).count == 1)
            #expect(Set(positions.values.map(\.place)) == Set(1...50))
            #expect(try AuthPlacing.positions(of: topics, connection).isEmpty)
            // To the power levels, the join rules and what else a membership names: once, not fifty times.
            let links = try connection.query("SELECT COUNT(*) FROM auth_links")
            #expect(try #require(links.first).integer(0) < 12)
        }
    }
}

extension ForkedRoom {
    fileprivate init(of room: TestRoom) {
        random = SplitMix64(seed: 1)
        users = []
        branches = [room]
        events = room.order.compactMap { room.events[$0] }
    }
}
