internal import Cryptography
internal import MatrixModel

/// One of a user's three cross-signing keys, as a server shows it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#cross-signing>
struct CrossSigningKey: Sendable, Hashable {
    /// What a key is for; `rawValue` is the spec's `usage`.
    enum Usage: String, Sendable {
        case master
        case selfSigning = "self_signing"
        case userSigning = "user_signing"
    }

    let usage: Usage
    let publicKey: Ed25519.PublicKey

    /// Unpadded base64.
    var text: String { Base64.encode(publicKey.bytes) }
    /// `ed25519:` and the key itself.
    var keyID: String { "ed25519:\(text)" }

    /// Reads a key of `user`. Throws `malformed`, or `mismatch` for one that names another user or usage, or whose id is
    /// not the key.
    init(_ view: JSONView, of user: UserID, usage: Usage) throws(EncryptionError) {
        guard view["user_id"]?.string == user.text else {
            throw .mismatch(rule: "a cross-signing key names its user")
        }
        guard view["usage"]?.elements.contains(where: { $0.string == usage.rawValue }) ?? false else {
            throw .mismatch(rule: "a cross-signing key names its usage")
        }
        let keys = view["keys"]?.members ?? []
        guard let (id, value) = keys.first, keys.count == 1, let text = value.string,
            let bytes = Base64.decode(text), let key = try? Ed25519.PublicKey(bytes)
        else { throw .malformed(path: "\(usage.rawValue).keys") }
        guard id == "ed25519:\(Base64.encode(bytes))" else {
            throw .mismatch(rule: "the id of a cross-signing key is the key")
        }
        self.usage = usage
        publicKey = key
    }

    /// Reads a key that must be signed by `master`.
    init(_ view: JSONView, of user: UserID, usage: Usage, signedBy master: CrossSigningKey) throws(EncryptionError) {
        try self.init(view, of: user, usage: usage)
        guard SignedJSON.verify(view, entity: user.text, keyID: master.keyID, key: master.publicKey) else {
            throw .mismatch(rule: "the \(usage.rawValue) key is signed by the master key")
        }
    }

    /// The key of its text, without a signature to check.
    init(_ text: String, usage: Usage) throws(EncryptionError) {
        guard let bytes = Base64.decode(text), let key = try? Ed25519.PublicKey(bytes) else {
            throw .damagedStore(what: "a cross-signing key")
        }
        self.usage = usage
        publicKey = key
    }
}
