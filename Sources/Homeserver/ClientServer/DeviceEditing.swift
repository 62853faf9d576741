internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// A user's list of devices. Spec: <https://spec.matrix.org/v1.19/client-server-api/#device-management>
struct DeviceEditing: RouteGroup {
    let environment: Environment
    let sessions: DeviceSessions
    let confirmation: UserInteractiveAuthentication

    func register(on router: inout Router) {
        router.on(.getDevices, list)
        router.on(.getDevice, read)
        router.on(.updateDevice, rename)
        router.on(.deleteDevice, delete)
        router.on(.deleteDevices, deleteSeveral)
    }

    @Sendable private func list(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let devices = try await environment.database.read { connection in
            try DeviceStore(connection).devices(of: requester.user)
        }
        return .json(["devices": .array(devices.map(Self.json))])
    }

    @Sendable private func read(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let id = try request.identifier("deviceId", as: DeviceID.self)
        let device = try await environment.database.read { connection in
            try DeviceStore(connection).device(id, of: requester.user)
        }
        guard let device, !device.isHidden else { throw MatrixError(.notFound, "No such device") }
        return .json(Self.json(device))
    }

    @Sendable private func rename(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let id = try request.identifier("deviceId", as: DeviceID.self)
        let name = try request.optionalString("display_name").map(DeviceSessions.Wish.displayName)
        let now = environment.clock.now()
        try await environment.database.write { connection in
            let devices = DeviceStore(connection)
            if let name {
                if try devices.rename(id, of: requester.user, to: name) {
                    try sessions.deviceLists?.deviceListChanged(of: requester.user, in: connection)
                    return
                }
            } else if try devices.device(id, of: requester.user) != nil {
                return
            }
            // Application services make the devices of their users so.
            guard requester.applicationService != nil else { throw MatrixError(.notFound, "No such device") }
            _ = try devices.create(Device(user: requester.user, id: id, displayName: name, created: now))
            try sessions.deviceLists?.deviceListChanged(of: requester.user, in: connection)
        }
        return .empty
    }

    @Sendable private func delete(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let id = try request.identifier("deviceId", as: DeviceID.self)
        return try await end([id], request, requester)
    }

    @Sendable private func deleteSeveral(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard let names = try request.optionalArray("devices") else {
            throw MatrixError(.missingParameter, "Missing devices")
        }
        guard names.count <= AuthenticationLimits.devicesPerRequest else {
            throw MatrixError(.tooLarge, "Too many devices")
        }
        let ids = try names.map { name throws(MatrixError) in
            guard let text = name.string else { throw MatrixError(.badJSON, "devices are not strings") }
            return try DeviceSessions.Wish.device(text)
        }
        return try await end(ids, request, requester)
    }

    private func end(
        _ ids: [DeviceID], _ request: APIRequest, _ requester: Requester
    ) async throws -> APIResponse {
        if requester.applicationService == nil {
            switch try await confirmation.confirm(request, by: requester) {
            case .challenge(let response): return response
            case .passed: break
            }
        }
        try await environment.database.write { connection in
            try sessions.end(ids, of: requester.user, in: connection)
        }
        sessions.authenticator.forget(requester.user)
        return .empty
    }

    /// What is not known is null: clients exist that want every field.
    private static func json(_ device: Device) -> JSONValue {
        [
            "device_id": .string(device.id.text), "display_name": device.displayName.map { .string($0) } ?? .null,
            "last_seen_ts": device.lastSeen.map { .integer($0) } ?? .null,
            "last_seen_ip": device.lastSeenAddress.map { .string($0) } ?? .null,
        ]
    }
}
