internal import Cryptography
internal import HomeserverStorage
internal import MatrixModel

/// A server's answer about its own keys, checked: signed by every key it publishes as current.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server>
struct ServerKeyAnswer {
    /// Bytes of an answer.
    static let maximumBytes = 64 << 10
    /// Keys of one answer.
    static let maximumKeys = 64

    var keys: [ServerKeyStore.Key]
    /// Milliseconds since 1970.
    var validUntil: Int64

    /// Reads an answer; `nil` when it is not this server's, or not signed as it must be.
    init?(_ answer: JSONView, of server: ServerName) {
        guard answer["server_name"]?.string == server.text, let valid = answer["valid_until_ts"]?.integer,
            let current = answer["verify_keys"]?.members, !current.isEmpty, current.count <= Self.maximumKeys
        else { return nil }
        validUntil = valid
        keys = []
        var verified = 0
        for (keyID, value) in current where keyID.hasPrefix("ed25519:") {
            guard let text = value["key"]?.string, let bytes = Base64.decode(text),
                let key = try? Ed25519.PublicKey(bytes),
                SignedJSON.verify(answer, entity: server.text, keyID: keyID, key: key)
            else { return nil }
            verified += 1
            keys.append(.init(keyID: keyID, publicKey: bytes, validUntil: valid, expired: nil))
        }
        guard verified > 0 else { return nil }
        for (keyID, value) in (answer["old_verify_keys"]?.members ?? []).prefix(Self.maximumKeys)
        where keyID.hasPrefix("ed25519:") && !keys.contains(where: { $0.keyID == keyID }) {
            guard let text = value["key"]?.string, let bytes = Base64.decode(text),
                (try? Ed25519.PublicKey(bytes)) != nil, let expired = value["expired_ts"]?.integer
            else { continue }
            keys.append(.init(keyID: keyID, publicKey: bytes, validUntil: expired, expired: expired))
        }
    }
}
