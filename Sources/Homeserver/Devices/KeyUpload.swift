internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// The keys of one device as a request brings them: read, checked and not yet kept.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>
struct KeyUpload: Sendable {
    let user: UserID
    let device: DeviceID
    /// The device keys without what others signed; nil when the request has none.
    let deviceKeys: JSONValue?
    private let body: [UInt8]?
    private let oneTime: [OneTimeKeyStore.Key]
    private let fallback: [OneTimeKeyStore.Key]
    private let limit: Int

    /// Throws `M_INVALID_PARAM`, `M_BAD_JSON`, `M_TOO_LARGE`.
    init(
        _ request: APIRequest, user: UserID, device: DeviceID, limits: HomeserverConfiguration.Limits
    ) throws(MatrixError) {
        self.user = user
        self.device = device
        limit = limits.oneTimeKeysPerDevice
        let given = try request.optionalObject("device_keys")
        if let given { try Self.check(given, user, device) }
        oneTime = try Self.keys(request.optionalObject("one_time_keys"), limits)
        fallback = try Self.keys(request.optionalObject("fallback_keys"), limits)
        guard Set(fallback.map(\.algorithm)).count == fallback.count else {
            throw MatrixError(.invalidParameter, "There are two fallback keys of one algorithm")
        }
        let kept = given.map { SignedKeys.stripped($0, user: user) }
        deviceKeys = kept
        do { body = try kept.map { try CanonicalJSON.encode($0, strict: false) } } catch {
            throw MatrixError(.badJSON, "device_keys has no canonical form")
        }
    }

    /// Whether the request only asks how many keys are left.
    var isEmpty: Bool { body == nil && oneTime.isEmpty && fallback.isEmpty }

    /// Keeps the keys, tells of new device keys, and gives the counts of one-time keys that are left.
    func keep(in connection: any SQLConnection, telling deviceLists: DeviceLists) throws -> [String: Int] {
        let store = OneTimeKeyStore(connection)
        let keyStore = DeviceKeyStore(connection)
        switch try store.add(oneTime, user: user, device: device, limit: limit) {
        case .added: break
        case .conflict(let name): throw MatrixError(.invalidParameter, "Another one-time key is called \(name)")
        case .full: throw MatrixError(.tooLarge, "At most \(limit) one-time keys", status: 400)
        }
        for key in fallback { try store.setFallback(key, user: user, device: device) }
        if let body, let deviceKeys, try keyStore.deviceKeys(of: user, device: device) != body {
            try keyStore.save(body, user: user, device: device)
            try deviceLists.keysChanged(of: user, device: device, keys: deviceKeys, in: connection)
        }
        return try store.counts(user: user, device: device)
    }

    private static func check(_ keys: JSONView, _ user: UserID, _ device: DeviceID) throws(MatrixError) {
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

    private static func keys(
        _ view: JSONView?, _ limits: HomeserverConfiguration.Limits
    ) throws(MatrixError) -> [OneTimeKeyStore.Key] {
        guard let members = view?.members else { return [] }
        guard members.count <= limits.keysPerUpload else {
            throw MatrixError(.tooLarge, "At most \(limits.keysPerUpload) keys at once")
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
