internal import FedchatTesting
internal import MatrixModel
internal import SQLDatabase

/// The end of a run: everything is healed, the servers come to rest, each says a word in each room, and then all is compared.
struct Healing: Sendable {
    /// How long servers may need to come to rest, in virtual time.
    private static let patience = Duration.seconds(6 * 3_600)
    private static let look = Duration.seconds(5)
    /// At rest is who was so at so many looks in a row.
    private static let looks = 3

    let world: World
    let cast: Cast
    let rooms: [RoomID]
    let clients: [SyncingClient]

    /// Gives the number of events in the rooms.
    func run() async -> Int {
        world.network.heal()
        for server in cast.servers { server.calm() }
        guard await settle("after healing") else { return 0 }
        // Somebody of each server comes back to each room, where that is allowed.
        for user in cast.users {
            for room in rooms { await user.comeBack(to: room, via: cast.servers.map(\.name)) }
        }
        guard await settle("after all came back") else { return 0 }
        // A word of each server tells the others what they missed. The second ties all that the first left in parallel.
        var mute: [RoomID: Set<ServerName>] = [:]
        for round in 1...2 {
            for server in cast.servers {
                for room in rooms where await !speak(server, in: room) { mute[room, default: []].insert(server.name) }
                guard await settle("after word \(round) of \(server.name)") else { return 0 }
            }
        }
        do {
            try await SyncChecks(world: world, servers: cast.servers, rooms: rooms, clients: clients).run()
        } catch {
            world.records.find("what syncs told cannot be looked at: \(error)")
        }
        var events = 0
        for room in rooms {
            do {
                events += try await RoomChecks(world: world, cast: cast, room: room, mute: mute[room] ?? []).run()
            } catch {
                world.records.find("\(room) cannot be looked at: \(error)")
            }
        }
        await TableChecks(world: world, cast: cast).run()
        return events
    }

    /// Has somebody of a server say a word. `false` when nobody of it may.
    private func speak(_ server: SimulatedServer, in room: RoomID) async -> Bool {
        guard let view = try? await ServerView.read(room, on: server) else { return false }
        for user in cast.users where view.joined.contains(user.user) {
            let sent = await user.send("m.room.message", ["msgtype": "m.text", "body": "all well"], to: room)
            if sent != nil { return true }
        }
        return false
    }

    /// Waits until nothing waits to be sent or judged.
    private func settle(_ when: String) async -> Bool {
        let end = world.clock.now.advanced(by: Self.patience)
        var quiet = 0
        var last = ""
        while world.clock.now < end {
            await world.sleep(Self.look)
            last = await waiting()
            quiet = last.isEmpty ? quiet + 1 : 0
            if quiet == Self.looks { return true }
        }
        world.records.find("no rest \(when): \(last)")
        return false
    }

    /// What waits, in words; empty when nothing does.
    private func waiting() async -> String {
        let honest = cast.servers.map(\.name.text)
        var found: [String] = []
        for server in cast.servers {
            guard let database = server.database else {
                found.append("\(server.name) is down")
                continue
            }
            do {
                let counts = try await database.read { connection in
                    try connection.query(
                        """
                        SELECT (SELECT COUNT(*) FROM outbox WHERE destination IN \(list: honest)),
                            (SELECT COUNT(*) FROM outbox_edus WHERE destination IN \(list: honest)),
                            (SELECT COUNT(*) FROM destinations WHERE catching_up = 1 AND destination IN \(list: honest)),
                            (SELECT COUNT(*) FROM inbound_staging)
                        """
                    ).first.map { row in try (0..<4).map { try row.integer($0) } } ?? []
                }
                if counts.contains(where: { $0 > 0 }) {
                    found.append(
                        "\(server.name): outbox \(counts[0]), EDUs \(counts[1]), catching up \(counts[2]), staged \(counts[3])"
                    )
                }
            } catch {
                found.append("\(server.name): \(error)")
            }
        }
        return found.joined(separator: "; ")
    }
}
