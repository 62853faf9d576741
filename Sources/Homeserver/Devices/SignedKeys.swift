internal import Cryptography
internal import HomeserverStorage
internal import MatrixModel

/// The JSON objects that keys travel in.
enum SignedKeys {
    /// A key's JSON as it was uploaded: an object, or a text for unsigned keys.
    static func parsed(_ body: [UInt8]) -> JSONValue? { try? JSONValue.parse(body) }

    /// A key with further signatures put on it. Bytes that are no object become `null`.
    static func adding(_ signatures: [DeviceKeyStore.Signature], to body: [UInt8]) -> JSONValue {
        guard let value = parsed(body) else { return .null }
        return adding(signatures, to: value)
    }

    /// A key with further signatures put on it.
    static func adding(_ signatures: [DeviceKeyStore.Signature], to key: JSONValue) -> JSONValue {
        guard !signatures.isEmpty else { return key }
        var value = key
        var all = value["signatures"] ?? .object([:])
        for signature in signatures {
            var own = all[signature.signer.text] ?? .object([:])
            own[signature.keyID] = .string(signature.signature)
            all[signature.signer.text] = own
        }
        value["signatures"] = all
        return value
    }

    /// A key without the signatures of others than `user` and without `unsigned`, as it is kept.
    static func stripped(_ view: JSONView, user: UserID) -> JSONValue {
        var value = view.value
        value["unsigned"] = nil
        if let signatures = value["signatures"] {
            value["signatures"] = signatures[user.text].map { .object([user.text: $0]) } ?? .object([:])
        }
        return value
    }

    /// The one public key of a cross-signing key object.
    static func publicKey(_ view: JSONView) -> (id: String, key: Ed25519.PublicKey)? {
        guard let keys = view["keys"]?.members, keys.count == 1, let (name, value) = keys.first,
            name.hasPrefix("ed25519:"), let text = value.string, name == "ed25519:\(text)", let key = key(text)
        else { return nil }
        return (text, key)
    }

    /// The public key that a base64 text is.
    static func key(_ text: String) -> Ed25519.PublicKey? {
        guard let bytes = Base64.decode(text) else { return nil }
        return try? Ed25519.PublicKey(bytes)
    }
}
