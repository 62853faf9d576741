import MatrixModel

/// Messages from one server to another: how soon one is there, and how many a second.
struct FederationScenario {
    private let server: Server
    private let world: World
    private let options: MeasureServers

    init(_ server: Server, _ world: World, _ options: MeasureServers) {
        self.server = server
        self.world = world
        self.options = options
    }

    func measure() async throws -> [Measurement] {
        guard let peer = server.peer else { return [] }
        try await peer.waitUntilReady(.seconds(5))
        let run = "f\(UInt32.random(in: 0...UInt32.max))"
        let senders = try await world.users(16)
        let listener = try await peer.register("\(run)listener")
        var found: [Measurement] = []

        let room = try await server.target.createRoom(by: senders[0])
        let start = ContinuousClock.now
        try await peer.join(room, by: listener, via: senders[0].server)
        found.append(
            Measurement("join of a room elsewhere", (ContinuousClock.now - start) / .milliseconds(1), "ms", .less))
        for sender in senders.dropFirst() { try await server.target.join(room, by: sender) }
        found += try await Listening.measure(
            "send to sync on another server", server.target, room: room, sender: senders[0], listeners: [listener],
            messages: 100, on: peer)
        found += try await flood("federation, 1 room, 16 senders", senders.map { ($0, room) }, listener, peer)

        let target = server.target
        let pairs = try await Concurrently.map(senders, atOnce: 4) { sender in
            let room = try await target.createRoom(by: sender)
            try await peer.join(room, by: listener, via: sender.server)
            return (sender, room)
        }
        found += try await flood("federation, 16 rooms, a sender each", pairs, listener, peer)
        return found
    }

    /// Sends for a time, then waits until the other server's client has the last message of every room; then all must be
    /// there.
    private func flood(
        _ name: String, _ senders: [(Target.User, String)], _ listener: Target.User, _ peer: Target
    ) async throws -> [Measurement] {
        let target = server.target
        let rooms = Set(senders.map(\.1))
        let run = "\(UInt32.random(in: 0...UInt32.max))"
        var since = try await peer.sync(listener, since: nil, timeout: 0).next
        let processor = server.processorSeconds()
        let start = ContinuousClock.now
        let deadline = start + .seconds(options.seconds)
        let sent = try await withThrowingTaskGroup(of: Int.self) { group in
            for (number, (sender, room)) in senders.enumerated() {
                group.addTask {
                    var count = 0
                    while ContinuousClock.now < deadline, count < BenchLimits.messages / 16 {
                        try await target.send(
                            "flood \(run) \(count)", to: room, by: sender, transaction: "\(run)-\(number)-\(count)")
                        count += 1
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        let acknowledged = (ContinuousClock.now - start) / .seconds(1)
        var open = rooms
        for room in rooms {
            guard let sender = senders.first(where: { $0.1 == room })?.0 else { continue }
            try await target.send("last \(run)", to: room, by: sender, transaction: "\(run)-last")
        }
        let patience = ContinuousClock.now + BenchLimits.catchingUp
        while !open.isEmpty {
            guard ContinuousClock.now < patience else { throw BenchFailure("\(open.count) rooms did not catch up") }
            let (next, answer) = try await peer.sync(listener, since: since, timeout: 5_000)
            since = next
            open = open.filter { room in
                let events = answer["rooms"]?["join"]?[room]?["timeline"]?["events"]?.elements ?? []
                return !events.contains { $0["content"]?["body"]?.string == "last \(run)" }
            }
        }
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        let used = server.processorSeconds()
        var arrived = 0
        for room in rooms {
            arrived += try await peer.count(messagesBeginningWith: "flood \(run)", in: room, by: listener)
        }
        guard arrived == sent else { throw BenchFailure("\(arrived) of \(sent) messages arrived") }
        var found = [
            Measurement(name, Double(sent) / elapsed, "messages/s", .more),
            Measurement("\(name), acknowledged", Double(sent) / acknowledged, "messages/s", .more),
        ]
        if let processor, let used {
            found.append(
                Measurement("\(name), CPU a message, both", (used - processor) / Double(sent) * 1_000, "ms", .less))
        }
        return found
    }
}
