internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Lets users say where they are notified.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers>
struct PusherEditing: RouteGroup {
    private static let enabled = "org.matrix.msc3881.enabled"
    private static let device = "org.matrix.msc3881.device_id"

    let environment: Environment
    /// nil where the server sends no mail.
    let mail: MailPushing?

    func register(on router: inout Router) {
        router.on(.getPushers, list)
        router.on(.postPusher, set)
    }

    @Sendable private func list(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let pushers = try await environment.database.read { try PusherStore($0).pushers(of: requester.user) }
        return .json(["pushers": .array(pushers.map(Self.json))])
    }

    private static func json(_ pusher: Pusher) -> JSONValue {
        .fields([
            "pushkey": .string(pusher.pushkey), "kind": .string(pusher.kind.rawValue), "app_id": .string(pusher.appID),
            "app_display_name": .string(pusher.appDisplayName),
            "device_display_name": .string(pusher.deviceDisplayName),
            "profile_tag": pusher.profileTag.map { .string($0) }, "lang": .string(pusher.lang),
            "data": (try? JSONValue.parse(pusher.options)) ?? [:],
            Self.enabled: .bool(pusher.isEnabled), Self.device: pusher.device.map { .string($0.text) },
        ])
    }

    // MARK: Setting

    @Sendable private func set(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = requester.user
        let pushkey = try request.string("pushkey")
        let appID = try request.string("app_id")
        try check(pushkey, "pushkey", bytes: PushLimits.pushkeyBytes)
        guard !appID.isEmpty, appID.count <= PushLimits.appIDCharacters, !appID.utf8.contains(0) else {
            throw MatrixError(.invalidParameter, "app_id has at most \(PushLimits.appIDCharacters) characters")
        }
        guard let kind = request.body["kind"] else { throw MatrixError(.missingParameter, "Missing kind") }
        if kind.isNull {
            try await environment.database.write {
                try PusherStore($0).remove(of: user, appID: appID, pushkey: pushkey)
            }
            return .empty
        }
        let pusher = try read(request, requester, kind, appID, pushkey)
        let isAppended = try request.optionalBoolean("append") ?? false
        let limit = environment.configuration.limits.pushersPerUser
        let kept = try await environment.database.write { connection -> Pusher in
            var pusher = pusher
            let store = PusherStore(connection)
            if !isAppended { try store.removeOthers(than: user, appID: appID, pushkey: pushkey) }
            if let old = try store.pusher(of: user, appID: appID, pushkey: pushkey) {
                // One session may change what another made: it stays that one's.
                pusher.device = old.device
                if old.kind == .email { pusher.isConfirmed = old.isConfirmed }
            } else if try store.pushers(of: user).count >= limit {
                throw MatrixError(.invalidParameter, "There are too many pushers")
            }
            if !pusher.isConfirmed { try mail?.takeConsent(pusher, connection) }
            try store.set(pusher)
            return pusher
        }
        if !kept.isConfirmed { try await mail?.askForConsent(kept) }
        return .empty
    }

    private func read(
        _ request: APIRequest, _ requester: Requester, _ kind: JSONView, _ appID: String, _ pushkey: String
    ) throws(MatrixError) -> Pusher {
        guard let kind = kind.string.flatMap(Pusher.Kind.init) else {
            throw MatrixError(.invalidParameter, "kind is neither http, email nor null")
        }
        let appName = try request.string("app_display_name")
        let deviceName = try request.string("device_display_name")
        let lang = try request.string("lang")
        let profileTag = try request.optionalString("profile_tag")
        let data = try request.object("data")
        try check(appName, "app_display_name", bytes: PushLimits.nameBytes, mayBeEmpty: true)
        try check(deviceName, "device_display_name", bytes: PushLimits.nameBytes, mayBeEmpty: true)
        try check(profileTag ?? "", "profile_tag", bytes: PushLimits.nameBytes, mayBeEmpty: true)
        try check(lang, "lang", bytes: PushLimits.languageBytes, mayBeEmpty: true)
        guard data.rawBytes.count <= PushLimits.optionsBytes else { throw MatrixError(.tooLarge, "data is too large") }
        var pusher = Pusher(
            user: requester.user, device: requester.device, kind: kind, appID: appID, pushkey: pushkey,
            appDisplayName: appName, deviceDisplayName: deviceName, profileTag: profileTag, lang: lang,
            options: Array(data.rawBytes), setAt: environment.clock.now())
        pusher.isEnabled = try request.optionalBoolean(Self.enabled) ?? true
        switch kind {
        case .http: try checkGateway(data)
        case .email:
            guard mail != nil else { throw MatrixError(.invalidParameter, "This server sends no mail") }
            guard appID == "m.email" else { throw MatrixError(.invalidParameter, "app_id is not m.email") }
            guard MailAddress(pushkey) != nil else {
                throw MatrixError(.invalidParameter, "pushkey is not a mail address")
            }
            pusher.isConfirmed = false
        }
        return pusher
    }

    private func checkGateway(_ data: JSONView) throws(MatrixError) {
        guard let field = data["url"] else { throw MatrixError(.missingParameter, "Missing url in data") }
        guard let text = field.string, text.utf8.count <= PushLimits.urlBytes, let address = WebAddress(text),
            PushGateway.allows(address, environment.configuration)
        else {
            throw MatrixError(
                .invalidParameter, "url is not an https URL with the path /_matrix/push/v1/notify")
        }
    }

    private func check(
        _ text: String, _ name: String, bytes: Int, mayBeEmpty: Bool = false
    ) throws(MatrixError) {
        guard mayBeEmpty || !text.isEmpty, text.utf8.count <= bytes, !text.utf8.contains(0) else {
            throw MatrixError(.invalidParameter, "\(name) has at most \(bytes) bytes")
        }
    }
}
