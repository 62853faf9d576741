internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Devices publish their keys. Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>
struct KeyUploading: RouteGroup {
    let environment: Environment
    let deviceLists: DeviceLists

    func register(on router: inout Router) {
        router.on(.uploadKeys) { request, requester in try await upload(request, requester) }
    }

    private func upload(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard let device = requester.device else {
            throw MatrixError(.invalidParameter, "Keys belong to a device, and this token has none")
        }
        let user = requester.user
        let deviceKeys = try request.optionalObject("device_keys")
        if let deviceKeys { try check(deviceKeys, user, device) }
        let oneTime = try keys(request.optionalObject("one_time_keys"))
        let fallback = try keys(request.optionalObject("fallback_keys"))
        guard Set(fallback.map(\.algorithm)).count == fallback.count else {
            throw MatrixError(.invalidParameter, "There are two fallback keys of one algorithm")
        }
        let kept = deviceKeys.map { SignedKeys.stripped($0, user: user) }
        let body: [UInt8]?
        do { body = try kept.map { try CanonicalJSON.encode($0, strict: false) } } catch {
            throw MatrixError(.badJSON, "device_keys has no canonical form")
        }
        let limit = environment.configuration.limits.oneTimeKeysPerDevice
        let deviceLists = deviceLists

        // Clients ask so how many keys are left.
        if body == nil, oneTime.isEmpty, fallback.isEmpty {
            return answer(
                try await environment.database.read { try OneTimeKeyStore($0).counts(user: user, device: device) })
        }
        let counts: [String: Int] = try await environment.database.write { connection in
            let store = OneTimeKeyStore(connection)
            let keyStore = DeviceKeyStore(connection)
            // The device may have been deleted since the token was read. It is held, for clients upload the same keys
            // twice at once, and the second of two must find what the first one has added.
            guard try DeviceStore(connection).lock(device, of: user) else {
                throw MatrixError(.unknownToken, "This device was deleted")
            }
            switch try store.add(oneTime, user: user, device: device, limit: limit) {
            case .added: break
            case .conflict(let name):
                throw MatrixError(.invalidParameter, "Another one-time key is called \(name)")
            case .full: throw MatrixError(.tooLarge, "At most \(limit) one-time keys", status: 400)
            }
            for key in fallback { try store.setFallback(key, user: user, device: device) }
            if let body, let kept, try keyStore.deviceKeys(of: user, device: device) != body {
                try keyStore.save(body, user: user, device: device)
                try deviceLists.keysChanged(of: user, device: device, keys: kept, in: connection)
            }
            return try store.counts(user: user, device: device)
        }
        return answer(counts)
    }

    private func answer(_ counts: [String: Int]) -> APIResponse {
        .json { writer in
            writer.beginObject()
            writer.key("one_time_key_counts")
            Self.write(counts, into: &writer)
            writer.endObject()
        }
    }

    /// Counts by algorithm; `signed_curve25519` is always there, for clients upload again when it is missing.
    static func write(_ counts: [String: Int], into writer: inout JSONWriter) {
        var counts = counts
        counts["signed_curve25519", default: 0] += 0
        writer.beginObject()
        for (algorithm, count) in counts.sorted(by: { $0.key < $1.key }) {
            writer.key(algorithm)
            writer.integer(count)
        }
        writer.endObject()
    }

    private func check(_ keys: JSONView, _ user: UserID, _ device: DeviceID) throws(MatrixError) {
        guard keys["user_id"]?.string == user.text, keys["device_id"]?.string == device.text else {
            throw MatrixError(.invalidParameter, "device_keys are for another user or device")
        }
        guard keys["algorithms"]?.kind == .array, keys["keys"]?.kind == .object,
            keys["signatures"]?.kind == .object
        else { throw MatrixError(.badJSON, "device_keys lacks algorithms, keys or signatures") }
        guard keys.rawBytes.count <= DeviceLimits.keyBytes else {
            throw MatrixError(.tooLarge, "device_keys is too large")
        }
    }

    private func keys(_ view: JSONView?) throws(MatrixError) -> [OneTimeKeyStore.Key] {
        guard let members = view?.members else { return [] }
        guard members.count <= environment.configuration.limits.keysPerUpload else {
            throw MatrixError(.tooLarge, "At most \(environment.configuration.limits.keysPerUpload) keys at once")
        }
        var keys: [OneTimeKeyStore.Key] = []
        for (name, value) in members {
            let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2, DeviceLimits.isName(name), value.kind == .object || value.kind == .string else {
                throw MatrixError(.badJSON, "A key is not named ALGORITHM:ID")
            }
            guard value.rawBytes.count <= DeviceLimits.keyBytes else {
                throw MatrixError(.tooLarge, "A key is too large")
            }
            do {
                keys.append(
                    .init(algorithm: parts[0], id: parts[1], body: try CanonicalJSON.encode(value, strict: false)))
            } catch { throw MatrixError(.badJSON, "A key has no canonical form") }
        }
        return keys
    }
}
