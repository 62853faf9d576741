/// One of the servers, with what is known of its process.
struct Server {
    let target: Target
    var pid: Int32?
    let data: String?
    let start: String?
}

/// What is measured, in this order: what fills the server comes last.
enum Scenario: String, CaseIterable, Sendable {
    case memory, pairs, latency, fanout, disk, initial
    case large
    case loaded

    func measure(_ server: Server, _ world: World, _ options: Bench) async throws -> [Measurement] {
        switch self {
        case .memory: try await memory("memory at rest, empty", server)
        case .pairs: try await pairs(server, world, options)
        case .latency: try await latency(server, world)
        case .fanout: try await fanOut(server, world)
        case .disk: try await disk(server, world)
        case .initial: try await initialSync(server, world, options)
        case .large: try await large(server, world, options)
        case .loaded: try await memory("memory at rest, after all this", server)
        }
    }

    private static let senders = [1, 16, 64]

    private func memory(_ name: String, _ server: Server) async throws -> [Measurement] {
        guard let pid = server.pid else { return [] }
        try await Task.sleep(for: .seconds(2))
        return [Measurement(name, Double(try Machine.residentBytes(pid)) / 1_048_576, "MiB", .less)]
    }

    private func pairs(_ server: Server, _ world: World, _ options: Bench) async throws -> [Measurement] {
        let pairs = try await world.pairs(Self.senders.max() ?? 1)
        var found = Measurement.latencies("registration", await world.registering)
        for count in Self.senders {
            found += try await Sending.measure(
                "rooms of 2, \(count) senders", server.target, Array(pairs.prefix(count)),
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
        guard let path = server.data else { return [] }
        let sender = try await world.users(1)[0]
        let room = try await server.target.createRoom(by: sender)
        // The files beside the database grow at once and then are used again.
        try await Sending.send(1_000, server.target, room, by: sender)
        let before = try Machine.bytes(at: path)
        try await Sending.send(4_000, server.target, room, by: sender)
        let grown = try Machine.bytes(at: path) - before
        return [Measurement("disk for 1,000 messages", Double(max(grown, 0)) / 4 / 1_024, "KiB", .less)]
    }

    private func initialSync(_ server: Server, _ world: World, _ options: Bench) async throws -> [Measurement] {
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

    private func large(_ server: Server, _ world: World, _ options: Bench) async throws -> [Measurement] {
        let users = try await world.users(options.members)
        let room = try await world.room(of: options.members)
        var found = Measurement.latencies("join of a room that grows to \(options.members)", await world.joining)
        for count in Self.senders {
            found += try await Sending.measure(
                "room of \(options.members), \(count) senders", server.target,
                users.prefix(count).map { ($0, room) }, for: .seconds(options.seconds))
        }
        return found
    }
}
