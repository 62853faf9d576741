import MatrixModel

/// The users and rooms of one server that scenarios share; made once, for making them takes longest.
actor World {
    let target: Target
    let run: String
    private var made: [Target.User] = []
    private var largeRoom: (room: String, members: Int)?
    private var manyRooms: (owner: Target.User, rooms: [String])?
    private var talk: (room: String, messages: Int)?
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

    /// So many rooms of one owner, whom anybody may join.
    func rooms(_ count: Int) async throws -> (owner: Target.User, rooms: [String]) {
        let target = target
        var known: (owner: Target.User, rooms: [String])
        if let manyRooms { known = manyRooms } else { known = (try await target.register("\(run)owner"), []) }
        let owner = known.owner
        if known.rooms.count < count {
            known.rooms += try await Concurrently.map(
                Array(known.rooms.count..<count), atOnce: BenchLimits.preparing
            ) { _ in try await target.createRoom(by: owner) }
        }
        manyRooms = known
        return (owner, Array(known.rooms.prefix(count)))
    }

    /// A room of the first user with so many messages, all with one word, a few with another.
    func talkedIn(_ messages: Int) async throws -> String {
        if let talk, talk.messages == messages { return talk.room }
        let (target, run) = (target, run)
        let sender = try await users(1)[0]
        let room = try await target.createRoom(by: sender)
        try await Concurrently.each(messages, atOnce: BenchLimits.talking) { number in
            let rare = number % max(1, messages / 20) == 0 ? " needle7" : ""
            try await target.send(
                "haystack\(rare) and what else people say to each other, number \(number)", to: room, by: sender,
                transaction: "\(run)t\(number)")
        }
        try await target.send("haystack needle7 last", to: room, by: sender, transaction: "\(run)tlast")
        talk = (room, messages)
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
