internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Devices publish their keys. Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>
struct KeyUploading: RouteGroup {
    /// Keys of one request.
    static let maximumKeys = 1_000
    /// Bytes of one key object.
    static let maximumKeyBytes = 10_000

    let environment: Environment
    let deviceLists: DeviceLists

    func register(on router: inout Router) {
        router.on(.uploadKeys) { request, requester in try await upload(request, requester) }
    }

    private struct Key: Sendable {
        var algorithm: String
        var id: String
        var body: [UInt8]
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
        let kept = deviceKeys.map { SignedKeys.stripped($0, user: user) }
        let body = try kept.map { try CanonicalJSON.encode($0, strict: false) }
        let limit = environment.configuration.limits.oneTimeKeysPerDevice
        let deviceLists = deviceLists

        let counts: [String: Int] = try await environment.database.write { connection in
            let store = OneTimeKeyStore(connection)
            let keyStore = DeviceKeyStore(connection)
            if let body, let kept, try keyStore.deviceKeys(of: user, device: device) != body {
                try keyStore.save(body, user: user, device: device)
                try deviceLists.keysChanged(of: user, device: device, keys: kept, in: connection)
            }
            var total = try store.counts(user: user, device: device).values.reduce(0, +)
            for key in oneTime {
                let existing = try store.existing(user: user, device: device, algorithm: key.algorithm, id: key.id)
                if let existing {
                    // The same key again is a retry; another under the same id is a broken client.
                    guard existing == key.body else {
                        throw MatrixError(.invalidParameter, "A one-time key of this id was uploaded before")
                    }
                    continue
                }
                guard total < limit else { throw MatrixError(.tooLarge, "At most \(limit) one-time keys", status: 400) }
                try store.add(user: user, device: device, algorithm: key.algorithm, id: key.id, body: key.body)
                total += 1
            }
            for key in fallback {
                try store.setFallback(user: user, device: device, algorithm: key.algorithm, id: key.id, body: key.body)
            }
            return try store.counts(user: user, device: device)
        }
        return .json { writer in
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
        guard keys.rawBytes.count <= Self.maximumKeyBytes else {
            throw MatrixError(.tooLarge, "device_keys is too large")
        }
    }

    private func keys(_ view: JSONView?) throws(MatrixError) -> [Key] {
        guard let members = view?.members else { return [] }
        guard members.count <= Self.maximumKeys else {
            throw MatrixError(.tooLarge, "At most \(Self.maximumKeys) keys at once")
        }
        var keys: [Key] = []
        for (name, value) in members {
            let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2, name.utf8.count <= 255, value.kind == .object || value.kind == .string else {
                throw MatrixError(.badJSON, "A key is not named ALGORITHM:ID")
            }
            guard value.rawBytes.count <= Self.maximumKeyBytes else {
                throw MatrixError(.tooLarge, "A key is too large")
            }
            do {
                keys.append(
                    Key(algorithm: parts[0], id: parts[1], body: try CanonicalJSON.encode(value, strict: false)))
            } catch { throw MatrixError(.badJSON, "A key has no canonical form") }
        }
        return keys
    }
}
