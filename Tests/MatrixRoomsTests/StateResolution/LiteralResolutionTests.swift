import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

/// A room whose forks go their own ways for a while, and have lost parts of their state on the way.
struct RandomForks {
    private(set) var rooms: [TestRoom] = []
    private(set) var states: [StateMap] = []
    let create: PDU

    var graph: [EventID: PDU] { rooms.reduce(into: [:]) { $0.merge($1.events) { first, _ in first } } }

    private static let users: [UserID] = [.alice, .bob, .carol, .mallory]

    init(_ version: RoomVersion, seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let isPrivileged = version.rules.authorization.privilegedCreators
        var levels: JSONValue = ["users": ["@bob:two.test": 50, "@carol:one.test": 50]]
        if !isPrivileged { levels["users"]?["@alice:one.test"] = 100 }
        let content: JSONValue = isPrivileged && seed % 2 == 1 ? ["additional_creators": ["@carol:one.test"]] : [:]
        if isPrivileged, seed % 2 == 1 { levels["users"]?["@carol:one.test"] = nil }
        var base = TestRoom(version, createContent: content, powerLevels: levels)
        base.join(.bob)
        base.join(.carol)
        create = base.create
        Self.wander(&base, 3, &generator)
        let first = Int.random(in: 2...4, using: &generator)
        rooms = [TestRoom](repeating: base, count: first)
        for index in rooms.indices { Self.wander(&rooms[index], .random(in: 1...6, using: &generator), &generator) }
        states = rooms.map(\.state.map)
        for index in states.indices where Bool.random(using: &generator) {
            let keys = states[index].keys.filter { $0.type != .create }.sorted { $0.description < $1.description }
            if let lost = keys.randomElement(using: &generator) { states[index][lost] = nil }
        }
    }

    /// Sends so many events at random, of which those are kept that the room allows.
    private static func wander(_ room: inout TestRoom, _ count: Int, _ generator: inout SplitMix64) {
        for _ in 0..<count {
            let sender = users.randomElement(using: &generator) ?? .alice
            let target = users.randomElement(using: &generator) ?? .bob
            var levels = room.event(.powerLevels, "")?.content.value ?? [:]
            if target != .alice { levels["users"]?[target.text] = .integer(.random(in: 0...60, using: &generator)) }
            if target == .alice { levels["ban"] = .integer(.random(in: 0...60, using: &generator)) }
            func member(_ membership: JSONValue, of user: UserID) -> PDU {
                room.event(.member, by: sender, stateKey: user.text, ["membership": membership])
            }
            let rule: JSONValue = Bool.random(using: &generator) ? "invite" : "public"
            let number = JSONValue.integer(.random(in: 0...1_000, using: &generator))
            let event =
                switch Int.random(in: 0..<9, using: &generator) {
                case 0, 1: room.event(.topic, by: sender, stateKey: "", ["topic": number])
                case 2: member("leave", of: target)
                case 3: member("ban", of: target)
                case 4, 5: member("join", of: sender)
                case 6: member("invite", of: target)
                case 7: room.event(.joinRules, by: sender, stateKey: "", ["join_rule": rule])
                default: room.event(.powerLevels, by: sender, stateKey: "", levels)
                }
            // Now and then clocks are wrong, and now and then two say the same.
            room.timestamp += [0, 0, 1_000, -3_000, 40_000].randomElement(using: &generator) ?? 0
            if room.clauseRejecting(event) == nil { room.add(event) }
        }
    }
}

@Suite("State resolution against the specification's words") struct LiteralResolutionTests {
    @Test(arguments: [RoomVersion.v2, .v5, .v10, .v11, .v12])
    func `random forks resolve as the literal algorithm has it`(
        version: RoomVersion
    ) throws {
        var changed = 0
        for seed in 0..<40 as Range<UInt64> {
            let forks = RandomForks(version, seed: seed &* 12 &+ 7)
            let graph = forks.graph
            let literal = LiteralResolution(graph: graph, version: version, create: forks.create).resolve(forks.states)
            let resolved = try resolveWithChains(forks.states, in: graph, by: version.rules)
            #expect(resolved == literal, "seed \(seed)")
            if !forks.states.contains(resolved) { changed += 1 }
        }
        // Where one fork always wins nothing has been tried.
        #expect(changed > 10)
    }

    @Test(arguments: RoomVersion.all) func `forks may come in any order`(version: RoomVersion) throws {
        for seed in 0..<12 as Range<UInt64> {
            var generator = SplitMix64(seed: seed)
            let forks = RandomForks(version, seed: seed)
            let graph = forks.graph
            let resolved = try resolveWithChains(forks.states, in: graph, by: version.rules)
            for _ in 0..<3 {
                let shuffled = forks.states.shuffled(using: &generator)
                #expect(try resolveWithChains(shuffled + [shuffled[0]], in: graph, by: version.rules) == resolved)
            }
        }
    }
}
