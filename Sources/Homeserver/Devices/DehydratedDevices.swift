internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Keeps a device that a client left, encrypted, so that the user's next client can read what was sent to it while no other
/// was logged in. It has keys, takes to-device messages and has no access token.
/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>
struct DehydratedDevices: RouteGroup {
    let environment: Environment
    let deviceLists: DeviceLists

    func register(on router: inout Router) {
        router.on(.putDehydratedDevice, leave)
        router.on(.getDehydratedDevice, tell)
        router.on(.deleteDehydratedDevice, remove)
        router.on(.getDehydratedDeviceEvents) { request, requester in
            let since = request.query("next_batch") ?? request.query("from")
            return try await events(request, requester, since: since, alwaysTellsNext: false)
        }
        router.on(.postDehydratedDeviceEvents) { request, requester in
            let since = try request.optionalString("next_batch")
            return try await events(request, requester, since: since, alwaysTellsNext: true)
        }
    }

    private static let none = MatrixError(.notFound, "There is no dehydrated device")

    @Sendable private func leave(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = requester.user
        let id = try DeviceSessions.Wish.device(request.string("device_id"))
        let data = try request.object("device_data")
        _ = try request.optionalString("initial_device_display_name")
        guard data["algorithm"]?.string != nil else { throw MatrixError(.badJSON, "device_data names no algorithm") }
        guard data.rawBytes.count <= DeviceLimits.dehydratedBytes else {
            throw MatrixError(.tooLarge, "device_data is larger than \(DeviceLimits.dehydratedBytes) bytes")
        }
        let upload = try KeyUpload(request, user: user, device: id, limits: environment.configuration.limits)
        guard upload.deviceKeys != nil else { throw MatrixError(.missingParameter, "Missing device_keys") }
        let name = try request.optionalString("initial_device_display_name").map(DeviceSessions.Wish.displayName)
        let device = Device(user: user, id: id, displayName: name, created: environment.clock.now())
        let bytes = Array(data.rawBytes)
        let limit = environment.configuration.limits.devicesPerUser
        let deviceLists = deviceLists
        try await environment.database.write { connection in
            let devices = DeviceStore(connection)
            let store = DehydratedDeviceStore(connection)
            if let old = try store.device(of: user) {
                try devices.delete([old.id], of: user)
                try deviceLists.deviceListChanged(of: user, in: connection)
            }
            guard try !devices.isCrossSigningKey(id, of: user) else {
                throw MatrixError(.forbidden, "device_id is the name of a cross-signing key")
            }
            // A device that somebody is logged in at keeps its keys.
            guard try devices.create(device) else {
                throw MatrixError(.invalidParameter, "device_id is a device that is in use")
            }
            guard try devices.devices(of: user).count <= limit else {
                throw MatrixError(.resourceLimitExceeded, "There are too many devices")
            }
            try store.save(id, data: bytes, of: user)
            _ = try upload.keep(in: connection, telling: deviceLists)
        }
        return .json(["device_id": .string(id.text)])
    }

    @Sendable private func tell(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let device = try await environment.database.read { try DehydratedDeviceStore($0).device(of: requester.user) }
        guard let device else { throw Self.none }
        return .json { writer in
            writer.beginObject()
            writer.key("device_id")
            writer.string(device.id.text)
            writer.key("device_data")
            writer.raw(device.data)
            writer.endObject()
        }
    }

    @Sendable private func remove(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let deviceLists = deviceLists
        let user = requester.user
        let id: DeviceID? = try await environment.database.write { connection in
            guard let device = try DehydratedDeviceStore(connection).device(of: user) else { return nil }
            try DeviceStore(connection).delete([device.id], of: user)
            try deviceLists.deviceListChanged(of: user, in: connection)
            return device.id
        }
        guard let id else { throw Self.none }
        return .json(["device_id": .string(id.text)])
    }

    /// Messages in their order. None is dropped by being asked for: the client that takes the device up may not live to
    /// use them. An empty answer says that there are no more.
    private func events(
        _ request: APIRequest, _ requester: Requester, since text: String?, alwaysTellsNext: Bool
    ) async throws -> APIResponse {
        let id = try request.identifier("deviceId", as: DeviceID.self)
        let limit = try request.queryInteger("limit", default: 100, in: 1...DeviceLimits.dehydratedEventsPerPage)
        var since: Int64 = 0
        if let text {
            guard text.hasPrefix("d"), let position = Int64(text.dropFirst()), position >= 0 else {
                throw MatrixError(.invalidParameter, "next_batch is not valid")
            }
            since = position
        }
        let (after, sealer) = (since, environment.sealer)
        let messages = try await environment.database.read { connection in
            guard try DehydratedDeviceStore(connection).device(of: requester.user)?.id == id else {
                throw MatrixError(.forbidden, "This is not the user's dehydrated device")
            }
            return try ToDeviceStore(connection, sealer).messages(
                user: requester.user, device: id, after: after, upTo: .max, limit: limit)
        }
        return .json { writer in
            writer.beginObject()
            writer.key("events")
            writer.beginArray()
            for message in messages { writer.raw(message.body) }
            writer.endArray()
            if alwaysTellsNext || !messages.isEmpty {
                writer.key("next_batch")
                writer.string("d\(messages.last?.position ?? after)")
            }
            writer.endObject()
        }
    }
}
