public import MatrixModel
internal import PostQuantum

/// What of a `/sync` response concerns the keys of this device.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync-1>
public struct SyncChanges: Sendable {
    /// `to_device.events`, in order.
    public var toDevice: [JSONView]
    /// `device_lists.changed`.
    public var changedUsers: [UserID]
    /// `device_lists.left`.
    public var leftUsers: [UserID]
    /// `device_one_time_keys_count`; nil if it is missing.
    public var oneTimeKeyCount: Int64?
    /// Whether a fallback key is still unused; nil if the server does not say.
    public var hasUnusedFallbackKey: Bool?
    /// The same two of encapsulation keys.
    var encapsulationKeyCount: Int64?
    var hasUnusedFallbackEncapsulationKey: Bool?

    /// Reads a whole response. What is malformed counts as missing: a server's mistake must not end the sync.
    public init(response: JSONView) {
        // All of them, as they come once: a response has its bound in bytes.
        toDevice = Array(response["to_device", "events"]?.elements ?? [])
        changedUsers = Self.users(response["device_lists", "changed"])
        leftUsers = Self.users(response["device_lists", "left"])
        // The spec: an algorithm that is not listed has no keys left; the whole may be left out when there are none.
        let counts = response["device_one_time_keys_count"]
        oneTimeKeyCount = counts.map { $0["signed_curve25519"]?.integer ?? 0 }
        encapsulationKeyCount = counts.map { $0[HybridAlgorithm.keyAlgorithm]?.integer ?? 0 }
        let unused = response["device_unused_fallback_key_types"]?.elements.compactMap(\.string)
        hasUnusedFallbackKey = unused?.contains("signed_curve25519")
        hasUnusedFallbackEncapsulationKey = unused?.contains(HybridAlgorithm.keyAlgorithm)
    }

    /// Whether nothing has come, but for how many keys the server has.
    var isEmpty: Bool { toDevice.isEmpty && changedUsers.isEmpty && leftUsers.isEmpty }

    static func users(_ list: JSONView?) -> [UserID] {
        (list?.elements ?? []).compactMap { $0.string.flatMap { try? UserID($0) } }
    }
}

/// What taking in a sync's changes led to.
public struct SyncOutcome: Sendable {
    /// A Megolm session that can be read now, or further back than before.
    public struct RoomKey: Sendable, Hashable {
        public let room: RoomID
        public let session: String

        /// Names a session.
        public init(room: RoomID, session: String) {
            self.room = room
            self.session = session
        }
    }

    /// Room keys that came.
    public var roomKeys: [RoomKey] = []
    /// Refused to-device events and changed keys, for the log and the user.
    public var warnings: [String] = []
    /// Devices that show other keys than before.
    public var changedKeys: [ChangedKey] = []
    /// Messages of verifications.
    public var verification: [VerificationMessage] = []
    /// Secrets that another device of ours sent.
    public var secrets: [SecretName] = []
    /// Users who show another identity than before.
    public var changedIdentities: [ChangedIdentity] = []

    /// Nothing.
    public init() {}

    /// Whoever floods us with what is refused must not fill the log.
    mutating func boundWarnings() {
        let rest = warnings.count - Limits.warningsPerSync
        guard rest > 0 else { return }
        warnings.removeLast(rest)
        warnings.append("and \(rest) more")
    }
}

/// A device whose identity keys are not those first seen: they are refused.
public struct ChangedKey: Sendable, Hashable {
    public let user: UserID
    public let device: DeviceID

    /// Names a device.
    public init(user: UserID, device: DeviceID) {
        self.user = user
        self.device = device
    }
}
