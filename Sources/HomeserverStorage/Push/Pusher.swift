public import MatrixModel

/// Where and how a user is notified. Spec: <https://spec.matrix.org/v1.19/client-server-api/#push-notifications>
public struct Pusher: Sendable {
    /// How notifications travel.
    public enum Kind: String, Sendable, Hashable {
        /// To a push gateway.
        case http
        /// By mail, many at once.
        case email
    }

    /// `pusher_nid`; 0 for one that is not kept yet.
    public var nid: Int64 = 0
    public var user: UserID
    /// The device whose session made it, with which it ends; nil for application services.
    public var device: DeviceID?
    public var kind: Kind
    public var appID: String
    /// The token of the push service, or the mail address.
    public var pushkey: String
    public var appDisplayName: String
    public var deviceDisplayName: String
    public var profileTag: String?
    /// A language, as `en` or `en-US`.
    public var lang: String
    /// The spec's `data`: a JSON object.
    public var options: [UInt8]
    /// Whether it is to be used. MSC3881.
    public var isEnabled = true
    /// Whether the owner of a mail address agreed.
    public var isConfirmed = true
    /// Milliseconds since 1970 when it was last set.
    public var setAt: Int64
    /// Everything up to it in the stream `events` was sent, or is not to be.
    public var position: Int64 = 0
    /// The unread count the device was last told; nil: none yet.
    public var told: Int?
    /// Attempts in a row that failed.
    public var failures = 0
    /// Milliseconds since 1970 when the first of them failed.
    public var failingSince: Int64?
    /// Milliseconds since 1970: not tried before, or to be sent then; 0: neither.
    public var dueAt: Int64 = 0
    /// Milliseconds since 1970 since when something unread waits for a mail.
    public var waitingSince: Int64?

    /// A pusher to be kept.
    public init(
        user: UserID, device: DeviceID?, kind: Kind, appID: String, pushkey: String, appDisplayName: String,
        deviceDisplayName: String, profileTag: String?, lang: String, options: [UInt8], setAt: Int64
    ) {
        self.user = user
        self.device = device
        self.kind = kind
        self.appID = appID
        self.pushkey = pushkey
        self.appDisplayName = appDisplayName
        self.deviceDisplayName = deviceDisplayName
        self.profileTag = profileTag
        self.lang = lang
        self.options = options
        self.setAt = setAt
    }

    /// How many parts all pushers fall into, each served by one node.
    public static let shards = 16

    /// The part that a user's pushers belong to, the same on every node.
    public static func shard(of user: UserID) -> Int {
        // FNV-1a.
        let hash = user.text.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return Int(hash % UInt64(shards))
    }
}

/// A pusher by its number, with what tells who serves it.
public struct PusherReference: Sendable, Hashable {
    /// `pusher_nid`
    public var nid: Int64
    public var shard: Int
}
