import MatrixModel

/// The users and rooms of one server that scenarios share; made once, for making them takes longest.
actor World {
    let target: Target
    let run: String
    private var made: [Target.User] = []
    private var largeRoom: (room: String, members: Int)?
    private(set) var registering: [Duration] = []
    private(set) var joining: [Duration] = []

    /// - Parameter run: tells this run's users from those of others.
    init(_ target: Target, run: String) {
        self.target = target
        self.run = run
    }

    /// So many users.
    func users(_ count: Int) async throws -> [Target.User] {
        let first = made.count
        if first < count {
            let (target, run) = (target, run)
            let new = try await Concurrently.map(Array(first..<count), atOnce: BenchLimits.preparing) { number in
                let start = ContinuousClock.now
                let user = try await target.register("\(run)u\(number)")
                return (user, ContinuousClock.now - start)
            }
            made += new.map(\.0)
            registering += new.map(\.1)
        }
        return Array(made.prefix(count))
    }

    /// A room of the first `members` users.
    func room(of members: Int) async throws -> String {
        if let largeRoom, largeRoom.members == members { return largeRoom.room }
        let users = try await users(members)
        guard let creator = users.first else { throw BenchFailure("a room of nobody") }
        let target = target
        let room = try await target.createRoom(by: creator)
        joining += try await Concurrently.map(Array(users.dropFirst()), atOnce: BenchLimits.preparing) { user in
            let start = ContinuousClock.now
            try await target.join(room, by: user)
            return ContinuousClock.now - start
        }
        largeRoom = (room, members)
        return room
    }

    /// So many rooms of two, each with its sender.
    func pairs(_ count: Int) async throws -> [(sender: Target.User, room: String)] {
        let users = try await users(count + 1)
        guard let listener = users.last else { return [] }
        let target = target
        return try await Concurrently.map(Array(users.prefix(count)), atOnce: BenchLimits.preparing) { user in
            let room = try await target.createRoom(by: user)
            try await target.join(room, by: listener)
            return (user, room)
        }
    }
}

/// Work on many things, some at a time.
enum Concurrently {
    /// Work with each number below `count`. The first failure ends it.
    static func each(
        _ count: Int, atOnce: Int, _ work: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                if number >= atOnce { try await group.next() }
                group.addTask { try await work(number) }
            }
            try await group.waitForAll()
        }
    }

    /// The results in the order of the things. The first failure ends it.
    static func map<Thing: Sendable, Result: Sendable>(
        _ things: [Thing], atOnce: Int, _ work: @escaping @Sendable (Thing) async throws -> Result
    ) async throws -> [Result] {
        try await withThrowingTaskGroup(of: (Int, Result).self) { group in
            var results = [Result?](repeating: nil, count: things.count)
            var next = 0
            while next < min(atOnce, things.count) {
                let (number, thing) = (next, things[next])
                group.addTask { (number, try await work(thing)) }
                next += 1
            }
            for try await (number, result) in group {
                results[number] = result
                if next < things.count {
                    let (number, thing) = (next, things[next])
                    group.addTask { (number, try await work(thing)) }
                    next += 1
                }
            }
            return results.compactMap(\.self)
        }
    }
}
