public import MatrixModel

/// How a room wants to be encrypted.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomencryption>
public struct RoomEncryptionSettings: Sendable, Hashable {
    /// The algorithm; only `m.megolm.v1.aes-sha2` can be used.
    public var algorithm: String
    /// Milliseconds that a session is used.
    public var rotationMilliseconds: Int64
    /// Messages for which a session is used.
    public var rotationMessages: Int64
    /// Whether those who come later may be given the keys of what is said now: the history visibility is `shared` or
    /// `world_readable`.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#shareable-encryption-sessions>
    public var sharesHistory: Bool

    /// Reads the content of `m.room.encryption`; what is missing or out of bounds gets our limits. `historyVisibility` is
    /// that of `m.room.history_visibility`: where there is none it is `shared`.
    public init(_ content: some JSONReading, historyVisibility: String? = nil) {
        algorithm = content["algorithm"]?.string ?? ""
        rotationMilliseconds = min(
            max(
                content["rotation_period_ms"]?.integer ?? Limits.rotationMilliseconds, Limits.leastRotationMilliseconds),
            Limits.mostRotationMilliseconds)
        rotationMessages = min(
            max(content["rotation_period_msgs"]?.integer ?? Limits.rotationMessages, 1), Limits.mostRotationMessages)
        sharesHistory = Self.sharesHistory(historyVisibility)
    }

    /// Whether this history visibility lets those who come later read.
    public static func sharesHistory(_ historyVisibility: String?) -> Bool {
        // The spec: no event, or a value that is not known, means "shared"; for keys what is not known is not shared.
        ["shared", "world_readable"].contains(historyVisibility ?? "shared")
    }
}
