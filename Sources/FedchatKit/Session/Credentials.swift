public import MatrixModel

/// A device's session on its homeserver.
public struct Credentials: Sendable, CustomStringConvertible {
    public let user: UserID
    public let device: DeviceID
    /// Opaque; sent with each call.
    public var accessToken: String
    /// Buys a new access token when the old one has expired, where the server gives them.
    public var refreshToken: String?

    /// A session that exists already.
    public init(user: UserID, device: DeviceID, accessToken: String, refreshToken: String? = nil) {
        self.user = user
        self.device = device
        self.accessToken = accessToken
        self.refreshToken = refreshToken
    }

    /// From the answer to a login or a registration. Throws `malformedAnswer`.
    init(answer: JSONView) throws(ClientError) {
        do {
            user = try answer.requiredIdentifier("user_id")
            device = try answer.requiredIdentifier("device_id")
            accessToken = try answer.requiredString("access_token")
            refreshToken = try answer.optionalString("refresh_token")
        } catch {
            throw .malformedAnswer(path: error.path)
        }
    }

    /// Without the tokens.
    public var description: String { "\(user) \(device)" }
}
