import Foundation
import MatrixAPI
import MatrixModel
import PostQuantum
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit

/// Ten devices on two servers, under loss, parting and restarts: in the end each has read all. FEDCHAT_MANY_MESSAGES says
/// how many there are, FEDCHAT_MANY_SEED which run it is. Every second device has the post-quantum key agreement on.
@Suite("Ten devices on two servers") struct ManyDevicesTests {
    static let environment = ProcessInfo.processInfo.environment
    static let messages = environment["FEDCHAT_MANY_MESSAGES"].flatMap(Int.init) ?? 30
    static let seed = environment["FEDCHAT_MANY_SEED"].flatMap(UInt64.init) ?? 1

    @Test(.timeLimit(.minutes(60)))
    func `nothing stays undecryptable under loss and restarts`() async throws {
        let start = ContinuousClock.now
        try await FaultWorld.run { world in
            var chance = Dice(seed: Self.seed)
            var devices: [FaultDevice] = []
            for (name, host) in [
                ("alice", "a.test"), ("bob", "b.test"), ("carol", "a.test"), ("dave", "b.test"), ("erin", "a.test"),
                ("frank", "b.test"),
            ] { devices.append(try await world.device(name, on: host)) }
            for index in 0..<4 { devices.append(try await devices[index].another()) }
            for (number, device) in devices.enumerated() where number % 2 == 0 {
                try await device.choose(number % 4 == 0 ? .kept : .offered)
            }
            let room = try await Self.room(world, devices)
            for device in devices { Self.loseSometimes(device) }

            var expected: Set<String> = []
            var restarts = 0
            var partings = 0
            for number in 0..<Self.messages {
                let sender = devices[chance.roll(devices.count)]
                let text = "\(number) by \(sender.device)"
                expected.insert(text)
                try await sender.trySay(text, room)
                for _ in 0..<2 { try await devices[chance.roll(devices.count)].tryStep() }
                if chance.roll(40) == 0 {
                    restarts += 1
                    let device = devices[chance.roll(devices.count)]
                    try await device.restart()
                    for _ in 0..<100 where await !device.client.hasSynced { try await device.tryStep() }
                }
                if chance.roll(60) == 0 {
                    partings += 1
                    world.network.part(true)
                }
                if chance.roll(8) == 0 { world.network.part(false) }
            }
            world.network.part(false)
            for device in devices { device.line.lose() }

            try await Self.quiesce(world, devices, room, expected.count)
            for device in devices {
                let view = try await device.view(room)
                #expect(view.failures == [], "\(device.user) \(device.device)")
                #expect(view.texts.count == expected.count && Set(view.texts) == expected, "\(device.user)")
            }
            let took = ContinuousClock.now - start
            print(
                "\(Self.messages) messages, \(devices.count) devices, \(restarts) restarts, \(partings) partings, "
                    + "seed \(Self.seed): all read, in \(took.components.seconds) s")
        }
    }

    private static func room(_ world: FaultWorld, _ devices: [FaultDevice]) async throws -> RoomID {
        let room = try await world.room(of: devices[0])
        let users = Set(devices.map(\.user))
        for device in devices where device.user != devices[0].user {
            _ = try await device.client.call(
                APICall(.joinRoom, ["roomIdOrAlias": room.text], query: [("via", "a.test")]))
        }
        for device in devices { try await world.until(device) { try await device.knows(users, in: room) } }
        return room
    }

    private static func loseSometimes(_ device: FaultDevice) {
        let dice = Mutex(Dice(seed: UInt64(truncatingIfNeeded: device.device.text.hashValue)))
        device.line.lose(
            requests: { _ in dice.withLock { $0.roll(20) == 0 } }, answers: { _ in dice.withLock { $0.roll(20) == 0 } })
    }

    /// Moves all on until nobody has anything to send or to find any more.
    private static func quiesce(
        _ world: FaultWorld, _ devices: [FaultDevice], _ room: RoomID, _ count: Int
    ) async throws {
        for _ in 0..<40 {
            world.clock.advance(by: 40_000)
            for _ in 0..<3 { for device in devices { try await device.tryStep() } }
            var isDone = true
            for device in devices {
                let isIdle = try await device.database.read { connection in
                    try ["send_queue", "to_device_outbox", "owed_room_keys"].allSatisfy { table in
                        try connection.query(SQL(raw: "SELECT 1 FROM \(table) LIMIT 1")).isEmpty
                    }
                }
                guard isIdle else {
                    isDone = false
                    continue
                }
                let view = try await device.view(room)
                if !view.failures.isEmpty || view.texts.count != count { isDone = false }
            }
            if isDone { return }
        }
    }
}

extension FaultDevice {
    /// A step under loss: whatever fails is tried again by a later one.
    @discardableResult
    func tryStep() async throws -> Bool {
        do { return try await step() } catch is ClientError { return false }
    }
}

/// Chance from a seed.
struct Dice: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func roll(_ sides: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(max(sides, 1)))
    }
}
