internal import FedchatTesting
internal import MatrixModel

/// A federation of whole homeservers in one process, from one seed: a bad network, crashes, servers that mean harm; and after
/// all is healed, the question whether the rooms are whole.
public enum Simulation {
    /// Runs a plan. Blocks the thread, and uses no other.
    public static func run(_ plan: SimulationPlan) -> SimulationOutcome {
        let started = ContinuousClock.now
        let clock = ManualClock()
        let chance = Chance(seed: plan.seed)
        let executor = SeededExecutor(seed: chance.next(), clock: clock)
        let world = World(plan, clock: clock, chance: chance)
        var events = 0
        do throws(SeededExecutor.Stall) {
            events = try executor.run { await course(of: world, chance) }
        } catch {
            world.records.find("the run stalls: \(error)")
        }
        world.trace.note("\(executor.jobCount) jobs")
        let counts = world.records.counts
        return SimulationOutcome(
            plan: plan, findings: world.records.findings, events: events,
            acknowledged: world.records.acknowledged.count, requests: counts.requests, syncs: counts.syncs,
            refused: counts.refused, partitions: counts.partitions, crashes: counts.crashes,
            tornWrites: counts.tornWrites,
            disturbed: counts.lost + counts.repeated + counts.parted, byzantine: counts.byzantine,
            virtualSeconds: clock.now.offset / .seconds(1),
            realSeconds: started.duration(to: .now) / .seconds(1), traceHash: world.trace.hash,
            trace: world.trace.lines)
    }

    /// Gives the number of events at the end.
    private static func course(of world: World, _ chance: Chance) async -> Int {
        do {
            let cast = try Cast(world, chance)
            return await withTaskGroup(of: Void.self) { group in
                group.addTask { await world.network.run() }
                for server in cast.servers { group.addTask { await server.run() } }
                for server in cast.hostile { group.addTask { await server.run() } }
                let rooms = await beginning(cast, world, chance)
                let sabotage = Sabotage(world: world, cast: cast)
                await sabotage.begin()
                let clients = SyncingClient.some(of: cast.users, in: world)
                for client in clients { group.addTask { await client.run() } }
                await chaos(cast, rooms, world, chance)
                await sabotage.end()
                let events = await Healing(world: world, cast: cast, rooms: rooms, clients: clients).run()
                for client in clients { client.stop() }
                for server in cast.hostile { server.stop() }
                for server in cast.servers { server.stop() }
                world.network.stop()
                await group.waitForAll()
                return events
            }
        } catch {
            world.records.find("the cast cannot be made: \(error)")
            return 0
        }
    }

    /// Everybody registers, rooms are made, most join.
    private static func beginning(_ cast: Cast, _ world: World, _ chance: Chance) async -> [RoomID] {
        for user in cast.users { await user.register() }
        var rooms: [RoomID] = []
        for number in 0..<world.plan.rooms {
            guard let creator = chance.pick(cast.users) else { break }
            let version = chance.pick(world.plan.roomVersions).flatMap { RoomVersion($0) } ?? .recommended
            // One of each server governs.
            let mighty = cast.users.enumerated().filter { $0.offset % world.plan.users == 0 }.map(\.element.user)
            guard let room = await creator.createRoom(version, powerUsers: mighty) else {
                world.records.find("room \(number) cannot be made")
                continue
            }
            rooms.append(room)
            world.trace.note("room \(room) \(version)")
            for user in cast.users where user !== creator && chance.happens(800) {
                await user.join(room, via: [creator.server.name])
            }
        }
        return rooms
    }

    private static func chaos(_ cast: Cast, _ rooms: [RoomID], _ world: World, _ chance: Chance) async {
        let disasters = Disasters(world: world, servers: cast.servers, chance: chance.fork())
        await withTaskGroup(of: Void.self) { group in
            if world.plan.hasFaults { group.addTask { await disasters.run() } }
            for server in cast.hostile { server.begin(rooms) }
            await withDiscardingTaskGroup { users in
                let steps = world.plan.steps / max(1, cast.users.count)
                for user in cast.users {
                    let script = UserScript(
                        me: user, others: cast.users.filter { $0 !== user }, rooms: rooms, world: world,
                        chance: chance.fork(), strangers: cast.hostile.map(\.user))
                    users.addTask { await script.run(steps: steps) }
                }
            }
            for server in cast.hostile { server.pause() }
            disasters.stop()
            await group.waitForAll()
        }
    }
}

/// Who takes part.
struct Cast: Sendable {
    let servers: [SimulatedServer]
    let hostile: [HostileServer]
    let users: [SimulatedUser]

    init(_ world: World, _ chance: Chance) throws {
        var servers: [SimulatedServer] = []
        var users: [SimulatedUser] = []
        for number in 0..<world.plan.servers {
            let name = try ServerName("\(Self.letter(number)).test")
            let server = try SimulatedServer(name, in: world, chance: chance.fork())
            servers.append(server)
            for user in 0..<world.plan.users {
                users.append(
                    try SimulatedUser(
                        "\(Self.letter(number))\(user)", on: server, in: world, chance: chance.fork()))
            }
        }
        self.servers = servers
        self.users = users
        hostile = try (0..<world.plan.byzantine).map { number in
            try HostileServer(
                ServerName("evil\(number).test"), in: world, victims: servers.map(\.name), chance: chance.fork())
        }
    }

    private static func letter(_ number: Int) -> String {
        number < 26 ? String(UnicodeScalar(UInt8(ascii: "a") + UInt8(number))) : "s\(number)"
    }
}
