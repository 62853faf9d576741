internal import MatrixModel
internal import Synchronization

/// What befalls network and servers, by chance: storms, partitions, crashes.
final class Disasters: Sendable {
    private let world: World
    private let servers: [SimulatedServer]
    private let chance: Chance
    private let isOver = Mutex(false)

    init(world: World, servers: [SimulatedServer], chance: Chance) {
        self.world = world
        self.servers = servers
        self.chance = chance
    }

    func stop() { isOver.withLock { $0 = true } }

    func run() async {
        while !isOver.withLock({ $0 }) {
            await world.sleep(chance.milliseconds(1_000...20_000))
            if isOver.withLock({ $0 }) { return }
            switch chance.below(10) {
            case ..<3: await part()
            case ..<6: crash()
            case ..<9: world.network.set(.stormy)
            default: world.network.set(.fair)
            }
        }
    }

    private func part() async {
        var sides: [String: Int] = [:]
        for server in servers { sides[server.name.text] = chance.below(2) }
        guard Set(sides.values).count > 1 else { return }
        world.records.count { $0.partitions += 1 }
        world.network.part(sides)
        await world.sleep(chance.milliseconds(5_000...(chance.happens(200) ? 900_000 : 90_000)))
        world.network.part([:])
    }

    private func crash() {
        // Half of the times in the middle of what is written to the disk.
        chance.pick(servers)?.crash(after: chance.happens(500) ? chance.within(1...40) : 0)
    }
}
