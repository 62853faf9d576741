internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// Tells clients and other servers that a user's devices or cross-signing keys have changed.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#device-management>
struct DeviceLists: DeviceListAnnouncing {
    let environment: Environment

    /// Notes a change without saying which: other servers see a gap in the stream and ask for the whole list.
    func deviceListChanged(of user: UserID, in connection: any SQLConnection) throws {
        let keys = DeviceKeyStore(connection)
        _ = try keys.noteChange(of: user)
        let change = try keys.noteChange(of: user)
        let device = try DeviceStore(connection).devices(of: user).first
        try send(
            "m.device_list_update", key: "device_list:\(user)",
            [
                "user_id": .string(user.text), "device_id": .string(device?.id.text ?? "none"),
                "stream_id": .integer(change.position), "prev_id": [.integer(change.previous)],
                "deleted": .bool(device == nil),
            ], of: user, connection)
    }

    /// Notes that a device has new keys.
    func keysChanged(of user: UserID, device: DeviceID, keys: JSONValue, in connection: any SQLConnection) throws {
        let change = try DeviceKeyStore(connection).noteChange(of: user)
        // The device's name stays here: what a user calls a device is no business of other servers.
        let content: JSONValue = [
            "user_id": .string(user.text), "device_id": .string(device.text), "stream_id": .integer(change.position),
            "prev_id": .array(change.previous == 0 ? [] : [.integer(change.previous)]), "deleted": false, "keys": keys,
        ]
        try send("m.device_list_update", key: "device_list:\(user):\(device)", content, of: user, connection)
    }

    /// Notes that a user's cross-signing keys, or the signatures on them, have changed.
    func crossSigningChanged(of user: UserID, in connection: any SQLConnection) throws {
        let store = DeviceKeyStore(connection)
        _ = try store.noteChange(of: user)
        let keys = try store.keys(of: user, readableBy: nil)
        var content: JSONValue = ["user_id": .string(user.text)]
        for (usage, field) in [("master", "master_key"), ("self_signing", "self_signing_key")] {
            if let key = keys.key(usage) {
                content[field] = SignedKeys.adding(keys.signatures[key.keyID] ?? [], to: key.body)
            }
        }
        try send("m.signing_key_update", key: "signing_key:\(user)", content, of: user, connection)
        // Servers that know only device lists see a gap and ask.
        try deviceListChanged(of: user, in: connection)
    }

    private func send(
        _ type: String, key: String, _ content: JSONValue, of user: UserID, _ connection: any SQLConnection
    ) throws {
        guard environment.configuration.federation.isEnabled else { return }
        let body = FederationSender.edu(type, content)
        let now = environment.clock.now()
        for server in try RoomStore(connection).serversSharingRooms(with: user) where server != environment.serverName {
            try Outbox(connection).enqueueEDU(
                body, to: server.text, dedupeKey: key, now: now, sealer: environment.sealer)
        }
    }
}
