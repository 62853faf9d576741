import ClientEncryption
import FedchatKit
import MatrixModel
import PostQuantum

extension DaemonRequests {
    func postQuantum(_ params: JSONValue) async throws -> JSONValue {
        if let name = params["policy"]?.string {
            guard let policy = HybridAlgorithm.Policy(rawValue: name) else {
                throw Failure("no such setting: \(name)", Failure.Status.usage)
            }
            try await client.setHybridPolicy(policy)
        }
        return [
            "policy": .string(try await client.hybridPolicy().rawValue),
            "published": .bool(try await client.isHybridOffered()),
            "fixed": .bool(try await client.isHybridOfferFixed()),
        ]
    }

    /// Devices in a room that ought to be written to with post-quantum keys and are not; nil for none.
    func downgraded(in room: RoomID) async throws -> JSONValue? {
        let devices = try await client.downgradedDevices(in: room)
        guard !devices.isEmpty else { return nil }
        return .array(
            devices.map {
                [
                    "user_id": .string($0.user.text), "device_id": .string($0.device.text),
                    "post_quantum": .string($0.standing.rawValue),
                ]
            })
    }
}
