internal import Cryptography
internal import MatrixModel

/// What a link in a mail lets its reader do without logging in: said in the link, and signed by this server.
struct MailLink: Sendable, Hashable {
    enum Action: String, Sendable {
        /// Agree to get mail.
        case confirm
        /// Get none any more.
        case unsubscribe
    }

    var action: Action
    var user: UserID
    var appID: String
    var address: String
    /// Milliseconds since 1970 when it was made.
    var made: Int64

    /// Milliseconds for which an agreement may be given. Who wants no mail may say so at any time.
    static let confirmable: Int64 = 7 * 86_400_000
    /// Bytes of a link's text.
    private static let maximumBytes = 4_096

    init(_ action: Action, user: UserID, appID: String, address: String, made: Int64) {
        self.action = action
        self.user = user
        self.appID = appID
        self.address = address
        self.made = made
    }

    /// What is signed: no event and no request begins so.
    private static func signed(_ payload: [UInt8]) -> [UInt8] { Array("fedchatd mail link\n".utf8) + payload }

    /// The text that goes into a URL's query.
    func text(signedBy keys: SigningKeys) -> String {
        let payload = JSONValue.object([
            "action": .string(action.rawValue), "user": .string(user.text), "app": .string(appID),
            "address": .string(address), "made": .integer(made),
        ]).serialized()
        let signature = keys.current.sign(Self.signed(payload))
        return Base64.encode(payload, .urlSafeUnpadded) + "." + Base64.encode(signature, .urlSafeUnpadded)
    }

    /// Reads a link; nil when it is not one that this server signed, with this key or a retired one.
    init?(_ text: String, signedBy keys: SigningKeys, now: Int64) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= Self.maximumBytes, parts.count == 2,
            let payload = Base64.decode(String(parts[0])), let signature = Base64.decode(String(parts[1])),
            ([keys.current.publicKey] + keys.retired.map(\.publicKey)).contains(where: {
                $0.verifies(signature, of: Self.signed(payload))
            }),
            let value = try? JSONValue.parse(payload),
            let action = value["action"]?.string.flatMap(Action.init),
            let user = value["user"]?.string.flatMap({ try? UserID($0) }), let app = value["app"]?.string,
            let address = value["address"]?.string, let made = value["made"]?.integer
        else { return nil }
        self.init(action, user: user, appID: app, address: address, made: made)
        if action == .confirm, now - made > Self.confirmable { return nil }
    }
}
