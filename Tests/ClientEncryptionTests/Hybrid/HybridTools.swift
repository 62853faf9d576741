import Cryptography
import HTTPMessages
import MatrixAPI
import MatrixModel
import PostQuantum
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import ClientEncryption
@testable import FedchatKit

/// Sessions begun with ML-KEM-768, between real clients of two real servers: one world at a time.
@Suite("The hybrid in the client", .serialized) struct HybridTests {
    static let hybrid = HybridAlgorithm.name
    static let olm = Algorithm.olm
}

/// The algorithms of the encrypted to-device messages that a device sends, and of the keys that it claims.
final class SentAlgorithms: Sendable {
    private struct State {
        var messages: [String] = []
        var claims: [String] = []
    }

    private let state = Mutex(State())

    var messages: [String] { state.withLock { $0.messages } }
    var claims: [String] { state.withLock { $0.claims } }
    func clear() { state.withLock { $0 = State() } }

    func note(_ request: ClientRequest) {
        guard let body = try? JSONValue.parse(request.body) else { return }
        if request.pathAndQuery.contains("/keys/claim") {
            let claims = (body["one_time_keys"]?.members ?? []).flatMap { $0.value.members.compactMap(\.value.string) }
            state.withLock { $0.claims += claims }
        }
        guard request.pathAndQuery.contains("/sendToDevice/m.room.encrypted") else { return }
        let algorithms = (body["messages"]?.members ?? []).flatMap {
            $0.value.members.compactMap { $0.value["algorithm"]?.string }
        }
        state.withLock { $0.messages += algorithms }
    }
}

extension DeviceLine {
    /// Notes what the device sends, and lets the server lie.
    func watch(_ sent: SentAlgorithms, _ change: Change? = nil) {
        self.change { request, answer in
            sent.note(request)
            return change?(request, answer) ?? answer
        }
    }
}

/// Changes the encapsulation keys in the answer to a claim; those that become nil are withheld.
func changingEncapsulationKeys(_ change: @escaping @Sendable (JSONValue) -> JSONValue?) -> DeviceLine.Change {
    { request, answer in
        guard request.pathAndQuery.contains("/keys/claim") else { return answer }
        var users: JSONValue = [:]
        for (user, devices) in answer["one_time_keys"]?.members ?? [] {
            var changed: JSONValue = [:]
            for (device, keys) in devices.members {
                var found: JSONValue = [:]
                for (name, key) in keys.members {
                    found[name] = name.hasPrefix(HybridAlgorithm.keyAlgorithm) ? change(key) : key
                }
                if found.count > 0 { changed[device] = found }
            }
            users[user] = changed
        }
        var answer = answer
        answer["one_time_keys"] = users
        return answer
    }
}

extension FaultDevice {
    func choose(_ policy: HybridAlgorithm.Policy) async throws {
        try await client.setHybridPolicy(policy)
        try await step()
    }

    func known(_ other: FaultDevice) async throws -> KnownDevice? {
        let (machine, user, device) = (client.machine, other.user, other.device)
        return try await database.read { try machine.devices(of: user, in: $0) }.first { $0.device == device }
    }

    /// How this device writes to the other.
    func standing(of other: FaultDevice) async throws -> HybridStanding? {
        guard let known = try await known(other) else { return nil }
        let machine = client.machine
        return try await database.read { try machine.hybridStanding(of: known, in: $0) }
    }

    func offer(of other: FaultDevice) async throws -> HybridOffer? { try await known(other)?.offer }

    /// Forgets all sessions with other devices, and the keys of rooms, so that the next message begins anew.
    func forgetSessions() async throws {
        _ = try await database.write { connection in
            try connection.execute("DELETE FROM olm_sessions")
            try connection.execute("DELETE FROM outbound_group_sessions")
        }
    }

    /// A column of the row of encapsulation keys.
    func encapsulationRow(_ column: SQL) async throws -> Int64? {
        try await database.read { try $0.query("SELECT \(column) FROM encapsulation_keys").first?.optionalInteger(0) }
    }
}

extension FaultPair {
    /// Both switch it on, and know it of each other.
    init(
        _ world: FaultWorld, alice: HybridAlgorithm.Policy, bob: HybridAlgorithm.Policy
    ) async throws {
        try await self.init(world)
        try await choose(alice: alice, bob: bob)
    }

    func choose(alice alices: HybridAlgorithm.Policy, bob bobs: HybridAlgorithm.Policy) async throws {
        if alices != .off { try await alice.choose(alices) }
        if bobs != .off { try await bob.choose(bobs) }
        // A message would make them ask for each other's devices.
        for (device, other) in [(alice, bob), (bob, alice)] { try await device.follow(other) }
        try await world.until(alice, bob) {
            let seen = (try await alice.offer(of: bob), try await bob.offer(of: alice))
            return seen == (bobs == .off ? .never : .offered, alices == .off ? .never : .offered)
        }
    }
}

extension FaultDevice {
    func follow(_ other: FaultDevice) async throws {
        let (machine, user) = (client.machine, other.user)
        try await database.write { try machine.track([user], in: $0) }
    }
}
