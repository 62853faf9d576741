import ClientEncryption
import FedchatKit
import MatrixModel

extension Client {
    /// What the sender of a message is told: who cannot read it yet, and who has not got it as they ought to.
    func receipt(of event: EventID, in room: RoomID) async throws -> JSONValue {
        let unreached = try await unreachedUsers(in: room)
        return .fields([
            "event_id": .string(event.text), "room_id": .string(room.text),
            "unreached": unreached.isEmpty ? nil : .array(unreached.map { .string($0.text) }),
            "downgraded": try await downgraded(in: room),
        ])
    }

    /// Devices in a room that ought to be written to with post-quantum keys and are not; nil for none.
    func downgraded(in room: RoomID) async throws -> JSONValue? {
        let devices = try await downgradedDevices(in: room)
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
