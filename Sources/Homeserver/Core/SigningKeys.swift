public import Cryptography

/// This server's signing keys: one current, and retired ones that are still published.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#publishing-keys>
public struct SigningKeys: Sendable {
    /// A key that signs no more.
    public struct Retired: Sendable {
        /// `ed25519:` and a version.
        public let keyID: String
        public let publicKey: Ed25519.PublicKey
        /// Milliseconds since 1970 when it was retired.
        public let expired: Int64

        public init(keyID: String, publicKey: Ed25519.PublicKey, expired: Int64) {
            self.keyID = keyID
            self.publicKey = publicKey
            self.expired = expired
        }
    }

    /// `ed25519:` and a version.
    public let keyID: String
    public let current: Ed25519.SigningKey
    public let retired: [Retired]

    public init(keyID: String, current: Ed25519.SigningKey, retired: [Retired] = []) {
        self.keyID = keyID
        self.current = current
        self.retired = retired
    }
}
