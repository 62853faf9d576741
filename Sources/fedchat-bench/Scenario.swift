import MatrixModel

/// What is measured, in this order: what fills the server comes last.
enum Scenario: String, CaseIterable, Sendable {
    case memory, polls, pairs, latency, fanout, disk, initial, syncs, pages, members, search
    case large, growth, federation
    case loaded

    func measure(_ server: Server, _ world: World, _ options: MeasureServers) async throws -> [Measurement] {
        switch self {
        case .memory: try await memory("memory at rest, empty", server)
        case .polls: try await polls(server, world, options)
        case .pairs: try await pairs(server, world, options)
        case .latency: try await latency(server, world)
        case .fanout: try await fanOut(server, world)
        case .disk: try await disk(server, world)
        case .initial: try await initialSync(server, world, options)
        case .syncs: try await ReadingScenario(server, world, options).syncs()
        case .pages: try await ReadingScenario(server, world, options).pages()
        case .members: try await ReadingScenario(server, world, options).members()
        case .search: try await ReadingScenario(server, world, options).search()
        case .large: try await large(server, world, options)
        case .growth: try await growth(server, world, options)
        case .federation: try await FederationScenario(server, world, options).measure()
        case .loaded: try await memory("memory at rest, after all this", server)
        }
    }

    private static let senders = [1, 16, 64]

    private func memory(_ name: String, _ server: Server) async throws -> [Measurement] {
        guard let pid = server.pid else { return [] }
        try await Task.sleep(for: .seconds(2))
        return [Measurement(name, Double(try Machine.residentBytes(pid)) / 1_048_576, "MiB", .less)]
    }

    private func pairs(_ server: Server, _ world: World, _ options: MeasureServers) async throws -> [Measurement] {
        let pairs = try await world.pairs(Self.senders.max() ?? 1)
        var found = Measurement.latencies("registration", await world.registering)
        for count in Self.senders {
            found += try await Sending.measure(
                "rooms of 2, \(count) senders", server, Array(pairs.prefix(count)),
                for: .seconds(options.seconds))
        }
        return found
    }

    private func latency(_ server: Server, _ world: World) async throws -> [Measurement] {
        let users = try await world.users(2)
        let room = try await server.target.createRoom(by: users[0])
        try await server.target.join(room, by: users[1])
        return try await Listening.measure(
            "send to sync, 1 listener", server.target, room: room, sender: users[0], listeners: [users[1]],
            messages: 50)
    }

    private func fanOut(_ server: Server, _ world: World) async throws -> [Measurement] {
        let users = try await world.users(101)
        let room = try await world.room(of: 101)
        return try await Listening.measure(
            "send to sync, 100 listeners", server.target, room: room, sender: users[0],
            listeners: Array(users.dropFirst()), messages: 20)
    }

    private func disk(_ server: Server, _ world: World) async throws -> [Measurement] {
        guard try server.diskBytes() != nil else { return [] }
        let sender = try await world.users(1)[0]
        let room = try await server.target.createRoom(by: sender)
        // The files beside the database grow at once and then are used again.
        try await Sending.send(1_000, server.target, room, by: sender)
        let before = try server.diskBytes() ?? 0
        try await Sending.send(4_000, server.target, room, by: sender)
        let grown = (try server.diskBytes() ?? 0) - before
        return [Measurement("disk for 1,000 messages", Double(max(grown, 0)) / 4 / 1_024, "KiB", .less)]
    }

    private func initialSync(_ server: Server, _ world: World, _ options: MeasureServers) async throws -> [Measurement]
    {
        let user = try await world.users(1)[0]
        let target = server.target
        let start = ContinuousClock.now
        _ = try await Concurrently.map(Array(0..<options.rooms), atOnce: BenchLimits.preparing) { _ in
            try await target.createRoom(by: user)
        }
        let made = (ContinuousClock.now - start) / .seconds(1)
        var times: [Duration] = []
        for _ in 0..<3 {
            let before = ContinuousClock.now
            _ = try await target.sync(user, since: nil, timeout: 0)
            times.append(ContinuousClock.now - before)
        }
        let sorted = times.sorted()
        return [
            Measurement("rooms made", Double(options.rooms) / made, "rooms/s", .more),
            Measurement("initial sync of \(options.rooms) rooms, first", times[0] / .milliseconds(1), "ms", .less),
            Measurement("initial sync of \(options.rooms) rooms", sorted[1] / .milliseconds(1), "ms", .less),
        ]
    }

    private func large(_ server: Server, _ world: World, _ options: MeasureServers) async throws -> [Measurement] {
        let users = try await world.users(options.members)
        let room = try await world.room(of: options.members)
        var found = Measurement.latencies("join of a room that grows to \(options.members)", await world.joining)
        for count in Self.senders {
            found += try await Sending.measure(
                "room of \(options.members), \(count) senders", server,
                users.prefix(count).map { ($0, room) }, for: .seconds(options.seconds))
        }
        return found
    }

    /// What a sync that waits costs in memory: users, each with a sync that waits.
    private func polls(_ server: Server, _ world: World, _ options: MeasureServers) async throws -> [Measurement] {
        guard let pid = server.pid else { return [] }
        let users = try await world.users(options.polls)
        let target = try server.target.with(connections: options.polls + 16)
        let tokens = try await Concurrently.map(users, atOnce: BenchLimits.preparing) { user in
            try await target.sync(user, since: nil, timeout: 0).next
        }
        try await Task.sleep(for: .seconds(2))
        let before = try Machine.residentBytes(pid)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for (user, token) in zip(users, tokens) {
                group.addTask {
                    var since = token
                    while !Task.isCancelled {
                        guard let next = try? await target.sync(user, since: since, timeout: 50_000).next else {
                            return
                        }
                        since = next
                    }
                }
            }
            try await Task.sleep(for: .seconds(5))
            let waiting = try Machine.residentBytes(pid)
            let processor = server.processorSeconds()
            try await Task.sleep(for: .seconds(5))
            let idle = zip([processor], [server.processorSeconds()]).compactMap { before, after in
                before.flatMap { before in after.map { ($0 - before) / 5 * 100 } }
            }
            group.cancelAll()
            let mebibytes = Double(waiting) / 1_048_576
            return [
                Measurement("memory with \(options.polls) idle syncs", mebibytes, "MiB", .less),
                Measurement(
                    "memory of an idle sync", Double(max(waiting - before, 0)) / Double(options.polls) / 1_024, "KiB",
                    .less),
            ] + idle.map { Measurement("CPU while \(options.polls) syncs wait", $0, "% of a core", .less) }
        }
    }

    /// What messages and state changes leave on disk in a room of many members.
    private func growth(_ server: Server, _ world: World, _ options: MeasureServers) async throws -> [Measurement] {
        guard let atFirst = try server.diskBytes() else { return [] }
        let users = try await world.users(options.members)
        let target = server.target
        let room = try await world.room(of: options.members)
        let joined = try server.diskBytes() ?? 0
        try await Sending.send(options.messages / 2, target, room, by: users[0])
        let half = try server.diskBytes() ?? 0
        let start = ContinuousClock.now
        try await Sending.send(options.messages - options.messages / 2, target, room, by: users[0])
        let rate = Double(options.messages - options.messages / 2) / ((ContinuousClock.now - start) / .seconds(1))
        let sent = try server.diskBytes() ?? 0
        try await Concurrently.each(options.changes, atOnce: BenchLimits.preparing) { number in
            try await target.setState("m.room.topic", "", ["topic": .string("topic \(number)")], in: room, by: users[0])
        }
        let changed = try server.diskBytes() ?? 0
        try await Concurrently.each(options.changes, atOnce: BenchLimits.preparing) { number in
            let user = users[number % users.count]
            try await target.setState(
                "m.room.member", user.id, ["membership": "join", "displayname": .string("Member \(number)")],
                in: room, by: user)
        }
        let renamed = try server.diskBytes() ?? 0
        func each(_ name: String, _ bytes: Int, _ count: Int) -> Measurement {
            Measurement("\(name), room of \(options.members)", Double(max(bytes, 0)) / Double(count), "bytes", .less)
        }
        return [
            each("disk of a user who joins", joined - atFirst, options.members),
            each("disk of a message, first half", half - joined, options.messages / 2),
            each(
                "disk of a message, second half of \(options.messages)", sent - half,
                options.messages - options.messages / 2),
            each("disk of a topic", changed - sent, options.changes),
            each("disk of a member's new name", renamed - changed, options.changes),
            Measurement("database, in the end", Double(renamed) / 1_048_576, "MiB", .less),
            Measurement("messages, second half of \(options.messages)", rate, "messages/s", .more),
        ]
    }
}
