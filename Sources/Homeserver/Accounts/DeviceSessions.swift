internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Opens and ends a user's sessions: a device with its tokens.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#relationship-between-access-tokens-and-devices>
struct DeviceSessions: Sendable {
    /// What a client asks for when it logs in or registers.
    struct Wish: Sendable {
        var device: DeviceID?
        var displayName: String?
        var refreshable = false

        init() {}

        init(_ request: APIRequest) throws(MatrixError) {
            if let text = try request.optionalString("device_id"), !text.isEmpty {
                device = try Self.device(text)
            }
            displayName = try request.optionalString("initial_device_display_name").map(Self.displayName)
            refreshable = try request.optionalBoolean("refresh_token") ?? false
        }

        static func device(_ text: String) throws(MatrixError) -> DeviceID {
            guard let id = try? DeviceID(text), text.utf8.count <= AccountLimits.nameBytes else {
                throw MatrixError(.invalidParameter, "device_id is not valid")
            }
            return id
        }

        static func displayName(_ text: String) -> String {
            let most = AuthenticationLimits.displayNameBytes
            let kept = text.unicodeScalars.prefix(most).filter { $0 != "\0" }
            var name = String(String.UnicodeScalarView(kept))
            while name.utf8.count > most { name.removeLast() }
            return name
        }
    }

    /// A session that was opened.
    struct Opened: Sendable {
        let device: DeviceID
        let tokens: NewTokens
    }

    let environment: Environment
    let authenticator: TokenAuthenticator
    let deviceLists: (any DeviceListAnnouncing)?

    /// What is chosen before the transaction.
    func prepare(_ wish: Wish) throws(MatrixError) -> Opened {
        var device = wish.device
        if device == nil { device = try Wish.device(Self.randomDeviceID(environment.random)) }
        guard let device else { throw .unknown }
        return Opened(device: device, tokens: NewTokens(refreshable: wish.refreshable, in: environment))
    }

    /// Makes or takes over the device, and gives it new tokens; its old ones end.
    func open(
        _ opened: Opened, _ wish: Wish, user: UserID, address: String, in connection: any SQLConnection
    ) throws {
        let devices = DeviceStore(connection)
        let tokens = AccessTokenStore(connection)
        let now = opened.tokens.created
        guard try !devices.isCrossSigningKey(opened.device, of: user) else {
            throw MatrixError(.forbidden, "device_id is the name of a cross-signing key")
        }
        let isNew = try devices.create(
            Device(
                user: user, id: opened.device, displayName: wish.displayName, created: now, lastSeen: now,
                lastSeenAddress: address))
        if isNew {
            let dropped = try devices.trim(user, to: environment.configuration.limits.devicesPerUser)
            if !dropped.isEmpty { try connection.notify("tokens \(user.text)") }
            try deviceLists?.deviceListChanged(of: user, in: connection)
        } else {
            try tokens.delete(user: user, device: opened.device)
            try PusherStore(connection).removeAll(of: user, device: opened.device)
            try connection.notify("tokens \(user.text)")
        }
        try opened.tokens.keep(user: user, device: opened.device, in: connection)
    }

    /// Ends devices: their tokens, keys and messages go.
    func end(_ devices: [DeviceID], of user: UserID, in connection: any SQLConnection) throws {
        guard try DeviceStore(connection).delete(devices, of: user) > 0 else { return }
        try connection.notify("tokens \(user.text)")
        try deviceLists?.deviceListChanged(of: user, in: connection)
    }

    /// Ends all devices of a user but one.
    func endAll(of user: UserID, except kept: DeviceID? = nil, in connection: any SQLConnection) throws {
        let devices = try DeviceStore(connection).devices(of: user, includingHidden: true)
        try end(devices.map(\.id).filter { $0 != kept }, of: user, in: connection)
    }

    /// Ten capital letters, as clients are used to.
    static func randomDeviceID(_ random: any RandomSource) -> String {
        String(decoding: random.bytes(10).map { 0x41 + $0 % 26 }, as: UTF8.self)
    }
}
