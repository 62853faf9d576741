import FedchatTesting
import MatrixModel
import Testing

@testable import MatrixRooms

/// A room that has split: each fork is a room of its own that began the same.
private struct Forks {
    var rooms: [TestRoom]

    init(_ room: TestRoom, _ changes: [(inout TestRoom) -> Void]) {
        rooms = changes.map { change in
            var fork = room
            change(&fork)
            return fork
        }
    }

    var graph: [EventID: PDU] {
        rooms.reduce(into: [:]) { $0.merge($1.events) { first, _ in first } }
    }

    func resolved(without missing: EventID? = nil) throws(ResolutionFailure) -> StateMap {
        try resolveWithChains(rooms.map(\.state.map), in: graph.filter { $0.key != missing }, by: rooms[0].rules)
    }

    /// The resolved event of a type.
    func event(_ type: EventType, _ stateKey: String = "") throws -> PDU? {
        try resolved()[StateKey(type, stateKey)].flatMap { graph[$0] }
    }
}

private let modern: [RoomVersion] = [.v2, .v6, .v11, .v12]

@Suite("State resolution") struct ResolveTests {
    private func room(_ version: RoomVersion) -> TestRoom {
        let users: JSONValue =
            version.rules.authorization.privilegedCreators
            ? ["@bob:two.test": 50] : ["@alice:one.test": 100, "@bob:two.test": 50]
        var room = TestRoom(version, powerLevels: ["users": users])
        room.join(.bob)
        return room
    }

    @Test(arguments: RoomVersion.all) func `forks that agree resolve to themselves`(version: RoomVersion) throws {
        let room = room(version)
        let nothing = Forks(room, [{ _ in }, { $0.send(.message, by: .bob) }])
        #expect(try nothing.resolved() == room.state.map)
        #expect(try resolve([], authDifference: [], in: [EventID: PDU](), by: version.rules).isEmpty)
        #expect(
            try resolve([room.state.map], authDifference: [], in: [EventID: PDU](), by: version.rules) == room.state.map
        )
    }

    @Test(arguments: RoomVersion.all) func `what only one fork has is kept`(version: RoomVersion) throws {
        let forks = Forks(
            room(version),
            [
                { $0.send(.topic, by: .bob, stateKey: "", ["topic": "tea"]) },
                { $0.send(.name, by: .alice, stateKey: "") },
            ])
        #expect(try forks.event(.topic) != nil)
        #expect(try forks.event(.name) != nil)
    }

    @Test(arguments: modern) func `a ban undoes what the banned did at the same time`(version: RoomVersion) throws {
        let forks = Forks(
            room(version),
            [{ $0.ban(.bob) }, { $0.send(.topic, by: .bob, stateKey: "", ["topic": "mine"]) }])
        #expect(try forks.event(.member, UserID.bob.text)?.content["membership"]?.string == "ban")
        #expect(try forks.event(.topic) == nil)
    }

    @Test(arguments: modern) func `the greater power wins between power levels`(version: RoomVersion) throws {
        let room = room(version)
        let levels = room.event(.powerLevels, "")?.content.value ?? [:]
        let forks = Forks(
            room,
            [
                { fork in
                    var changed = levels
                    changed["users"]?["@carol:one.test"] = 50
                    fork.setPowerLevels(changed, by: .bob)
                },
                { fork in
                    var changed = levels
                    changed["users"]?["@bob:two.test"] = nil
                    fork.timestamp += 60_000
                    fork.setPowerLevels(changed, by: .alice)
                },
            ])
        #expect(try forks.event(.powerLevels)?.sender == .alice)
    }

    @Test(arguments: modern) func `between equals the later one wins, then the greater id`(version: RoomVersion) throws
    {
        var later = Forks(
            room(version),
            [
                { $0.send(.topic, by: .alice, stateKey: "", ["topic": "early"]) },
                { fork in
                    fork.timestamp += 5_000
                    fork.send(.topic, by: .bob, stateKey: "", ["topic": "late"])
                },
            ])
        #expect(try later.event(.topic)?.content["topic"]?.string == "late")
        later.rooms.reverse()
        #expect(try later.event(.topic)?.content["topic"]?.string == "late")

        let same = Forks(
            room(version),
            [
                { $0.send(.topic, by: .alice, stateKey: "", ["topic": "a"]) },
                { $0.send(.topic, by: .bob, stateKey: "", ["topic": "b"]) },
            ])
        let topics = same.rooms.compactMap { $0.event(.topic, "")?.id }
        #expect(try same.event(.topic)?.id == topics.max())
    }

    /// Found beside Synapse: Bob's join, of when he had no power, is in both states, but only his own fork's events name it.
    /// Were it in the auth difference, his kick would have to wait for it, and come after Carol's ban.
    @Test(arguments: modern) func `what is in all states holds up nobody`(version: RoomVersion) throws {
        let dave = try UserID("@dave:two.test")
        var room = TestRoom(version)
        for user in [UserID.bob, .carol, dave] { room.join(user) }
        var levels = room.event(.powerLevels, "")?.content.value ?? [:]
        var users = levels["users"] ?? [:]
        users[UserID.bob.text] = 50
        users[UserID.carol.text] = 50
        levels["users"] = users
        room.setPowerLevels(levels)
        let forks = Forks(
            room,
            [
                { fork in
                    fork.timestamp += 5_000
                    fork.ban(dave, by: .carol)
                }, { $0.send(.member, by: .bob, stateKey: dave.text, ["membership": "leave"]) },
            ])
        #expect(try forks.event(.member, dave.text)?.content["membership"]?.string == "ban")
    }

    @Test(arguments: modern) func `an event that rests on newer power levels comes later`(version: RoomVersion) throws {
        let forks = Forks(
            room(version),
            [
                { fork in
                    fork.timestamp += 60_000
                    fork.send(.topic, by: .bob, stateKey: "", ["topic": "old levels"])
                },
                { fork in
                    var levels = fork.event(.powerLevels, "")?.content.value ?? [:]
                    levels["users"]?["@carol:one.test"] = 10
                    fork.setPowerLevels(levels)
                    fork.send(.topic, by: .bob, stateKey: "", ["topic": "new levels"])
                },
            ])
        #expect(try forks.event(.topic)?.content["topic"]?.string == "new levels")
    }

    @Test(arguments: RoomVersion.all) func `the order of the forks does not matter`(version: RoomVersion) throws {
        for seed in 0..<12 {
            var generator = SplitMix64(seed: UInt64(seed))
            let users: [UserID] = [.alice, .bob, .carol]
            var base = room(version)
            base.join(.carol)
            var forks = Forks(base, [{ _ in }, { _ in }, { _ in }])
            for index in forks.rooms.indices {
                for _ in 0..<6 {
                    let sender = users.randomElement(using: &generator) ?? .alice
                    let target = users.randomElement(using: &generator) ?? .bob
                    let room = forks.rooms[index]
                    var levels = room.event(.powerLevels, "")?.content.value ?? [:]
                    if target != .alice {
                        levels["users"]?[target.text] = .integer(.random(in: 0...60, using: &generator))
                    }
                    let event =
                        switch Int.random(in: 0..<6, using: &generator) {
                        case 0: room.event(.topic, by: sender, stateKey: "", ["n": .integer(Int64(seed))])
                        case 1: room.event(.member, by: sender, stateKey: target.text, ["membership": "leave"])
                        case 2: room.event(.member, by: sender, stateKey: target.text, ["membership": "ban"])
                        case 3: room.event(.member, by: sender, stateKey: sender.text, ["membership": "join"])
                        case 4: room.event(.joinRules, by: sender, stateKey: "", ["join_rule": "invite"])
                        default: room.event(.powerLevels, by: sender, stateKey: "", levels)
                        }
                    if room.clauseRejecting(event) == nil { forks.rooms[index].add(event) }
                    forks.rooms[index].timestamp += .random(in: 0...2_000, using: &generator)
                }
            }
            let resolved = try forks.resolved()
            for _ in 0..<3 {
                forks.rooms.shuffle(using: &generator)
                #expect(try forks.resolved() == resolved, "seed \(seed)")
            }
            // The create event, and every key that no fork differs in, survive.
            #expect(resolved[StateKey(.create, "")] == base.create.id)
            let graph = forks.graph
            #expect(try resolveWithChains([resolved, resolved], in: graph, by: version.rules) == resolved)
        }
    }

    @Test(arguments: RoomVersion.all) func `what all agree on may be left out`(version: RoomVersion) throws {
        var base = room(version)
        base.join(.carol)
        base.send(.name, by: .alice, stateKey: "", ["name": "here"])
        let forks = Forks(
            base, [{ $0.ban(.bob) }, { $0.send(.topic, by: .bob, stateKey: "", ["topic": "mine"]) }])
        let dispensable = [StateKey(.name, ""), StateKey(.member, UserID.carol.text)]
        func without(_ state: StateMap) -> StateMap { state.filter { !dispensable.contains($0.key) } }
        let (graph, reduced) = (forks.graph, forks.rooms.map { without($0.state.map) })
        let difference = authDifference(of: try forks.rooms.map { try graph.fullAuthChain(of: $0.state.map.values) })
        let resolved = try resolve(reduced, authDifference: difference, in: graph, by: version.rules)
        #expect(try resolved == without(forks.resolved()))
    }

    @Test func `a rejected auth event gives no permission`() throws {
        struct Graph: EventGraph {
            let events: [EventID: PDU]
            let rejected: EventID?
            func event(_ id: EventID) -> PDU? { events[id] }
            func isRejected(_ id: EventID) -> Bool { id == rejected }
        }
        // Bob's topic rests on his join, which no state to be merged has.
        let base = room(.v11)
        let forks = Forks(
            base, [{ $0.send(.topic, by: .bob, stateKey: "") }, { $0.send(.topic, by: .alice, stateKey: "") }])
        let topic = try #require(forks.rooms[0].event(.topic, ""))
        let join = try #require(base.event(.member, UserID.bob.text))
        for (rejected, isAllowed) in [(nil, true), (join.id, false)] as [(EventID?, Bool)] {
            var checks = IterativeAuthChecks(
                graph: Graph(events: forks.graph, rejected: rejected), rules: .v11, create: base.create, state: [:])
            try checks.apply(topic)
            #expect((checks.state[StateKey(.topic, "")] == topic.id) == isAllowed)
        }
    }

    @Test func `what was not gathered is said`() throws {
        let forks = Forks(
            room(.v12), [{ $0.send(.topic, by: .bob, stateKey: "") }, { $0.send(.topic, by: .alice, stateKey: "") }])
        let topic = try #require(forks.rooms[0].event(.topic, "")?.id)
        #expect(throws: ResolutionFailure.missingEvent(topic)) { try forks.resolved(without: topic) }
        let noCreate: [StateMap] = [[StateKey(.topic, ""): topic], [:]]
        let graph = forks.graph.filter { $0.value.type != .create }
        #expect(throws: ResolutionFailure.missingCreateEvent) {
            try resolve(noCreate, authDifference: [], in: graph, by: .v12)
        }
        let otherCreate: [StateMap] = [[StateKey(.create, ""): topic], [StateKey(.create, ""): try EventID("$other")]]
        #expect(throws: ResolutionFailure.differentCreateEvents) {
            try resolve(otherCreate, authDifference: [], in: graph, by: .v12)
        }
        #expect(throws: ResolutionFailure.tooLarge) {
            try resolve([StateMap](repeating: [:], count: 100_000), authDifference: [], in: graph, by: .v12)
        }
    }
}

@Suite("State resolution version 1") struct ResolveV1Tests {
    private func room() -> TestRoom {
        var room = TestRoom(.v1, powerLevels: ["users": ["@alice:one.test": 100, "@bob:two.test": 50]])
        room.join(.bob)
        return room
    }

    @Test func `the deepest event that is allowed wins`() throws {
        let forks = Forks(
            room(),
            [
                { $0.send(.topic, by: .alice, stateKey: "", ["topic": "shallow"]) },
                { fork in
                    fork.send(.message, by: .bob)
                    fork.send(.topic, by: .bob, stateKey: "", ["topic": "deep"])
                },
            ])
        #expect(try forks.event(.topic)?.content["topic"]?.string == "deep")
    }

    @Test func `a deeper one that is not allowed loses`() throws {
        let forks = Forks(
            room(),
            [
                { fork in
                    // Deeper in the end than the other fork's kick, so that it counts.
                    for _ in 0..<3 { fork.send(.message, by: .alice) }
                    fork.send(.topic, by: .alice, stateKey: "", ["topic": "hers"])
                    fork.ban(.bob)
                },
                { fork in
                    for _ in 0..<3 { fork.send(.message, by: .bob) }
                    fork.join(.bob)
                    fork.send(.topic, by: .bob, stateKey: "", ["topic": "his"])
                },
            ])
        #expect(try forks.event(.member, UserID.bob.text)?.content["membership"]?.string == "ban")
        #expect(try forks.event(.topic)?.content["topic"]?.string == "hers")
    }

    @Test func `of the same depth the lesser hash of the id wins`() throws {
        let forks = Forks(
            room(),
            [{ $0.send(.topic, by: .alice, stateKey: "") }, { $0.send(.topic, by: .bob, stateKey: "") }])
        let winner = try #require(try forks.event(.topic))
        let other = try #require(forks.rooms.compactMap { $0.event(.topic, "") }.first { $0.id != winner.id })
        #expect(winner.depth == other.depth)
        #expect(sha1(winner.id).lexicographicallyPrecedes(sha1(other.id)))
    }

    @Test func `power levels are followed while they are allowed`() throws {
        let forks = Forks(
            room(),
            [
                { $0.setPowerLevels(["users": ["@alice:one.test": 100]], by: .alice) },
                { fork in
                    fork.send(.message, by: .bob)
                    fork.setPowerLevels(
                        ["users": ["@alice:one.test": 100, "@bob:two.test": 50, "@carol:one.test": 50]], by: .bob)
                },
            ])
        // Bob's are deeper, but after Alice's he may not change any.
        #expect(try forks.event(.powerLevels)?.sender == .alice)
    }
}

@Suite("Bounds of state resolution") struct ResolutionBoundsTests {
    @Test func `a thousand forks are resolved, one more is too large`() throws {
        var base = TestRoom(.v12)
        let topic = base.send(.topic, by: .alice, stateKey: "", ["topic": "tea"])
        let first = base.state.map
        var second = first
        second[StateKey(.topic, "")] = nil
        let forks = [StateMap](repeating: first, count: 999) + [second]
        #expect(try resolveWithChains(forks, in: base, by: .v12)[StateKey(.topic, "")] == topic.id)
        #expect(throws: ResolutionFailure.tooLarge) {
            try resolve(forks + [first], authDifference: [], in: base, by: RoomVersionRules.v12)
        }
    }

    @Test func `the create event of version 12 follows from the room, before it must be in a fork`() throws {
        func forks(_ version: RoomVersion) -> (TestRoom, [StateMap]) {
            var base = TestRoom(version)
            let first = base.state.map.filter { $0.key.type != .create }
            base.send(.topic, by: .alice, stateKey: "", ["topic": "tea"])
            return (base, [first, base.state.map.filter { $0.key.type != .create }])
        }
        let (new, newForks) = forks(.v12)
        #expect(try resolveWithChains(newForks, in: new, by: .v12)[StateKey(.topic, "")] != nil)
        let (old, oldForks) = forks(.v11)
        #expect(throws: ResolutionFailure.missingCreateEvent) { try resolveWithChains(oldForks, in: old, by: .v11) }
    }
}
