public import Cryptography

/// Signatures within the object that they sign: `{"signatures": {entity: {key ID: signature}}}`. Entities are servers,
/// and in end-to-end encryption users. Events are signed otherwise, redacted: see `EventSignatures`.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#signing-json>
public enum SignedJSON {
    /// The keys that a signature does not cover.
    static let unsignedKeys: Set<String> = ["signatures", "unsigned"]

    /// The object with one signature more; signatures by others and `unsigned` stay as they are. What is no object comes
    /// back unchanged.
    public static func sign(_ object: JSONValue, as entity: String, keyID: String, with key: Ed25519.SigningKey)
        -> JSONValue
    {
        guard case .object(var fields) = object else { return object }
        fields["signatures"] = nil
        fields["unsigned"] = nil
        let signature = key.sign(JSONValue.object(fields).serialized())
        var signed = object
        var signatures = object["signatures"] ?? .object([:])
        var own = signatures[entity] ?? .object([:])
        own[keyID] = .string(Base64.encode(signature, .standardUnpadded))
        signatures[entity] = own
        signed["signatures"] = signatures
        return signed
    }

    /// The same for a server.
    public static func sign(_ object: JSONValue, as server: ServerName, keyID: String, with key: Ed25519.SigningKey)
        -> JSONValue
    {
        sign(object, as: server.text, keyID: keyID, with: key)
    }

    /// Whether the object bears a valid signature by this entity with this key. Hostile input gets `false`.
    public static func verify(_ view: JSONView, entity: String, keyID: String, key: Ed25519.PublicKey) -> Bool {
        guard let text = view["signatures"]?[entity]?[keyID]?.string, let signature = Base64.decode(text),
            let signed = try? CanonicalJSON.encode(view, omitting: unsignedKeys, strict: false)
        else { return false }
        return key.verifies(signature, of: signed)
    }

    /// The same for a value.
    public static func verify(_ value: JSONValue, entity: String, keyID: String, key: Ed25519.PublicKey) -> Bool {
        guard let document = try? JSONDocument(value.serialized()) else { return false }
        return verify(document.root, entity: entity, keyID: keyID, key: key)
    }

    /// The Ed25519 key IDs under which the entity has signed the object.
    public static func keyIDs(of entity: String, in view: JSONView) -> [String] {
        view["signatures"]?[entity]?.members.map(\.key).filter { $0.hasPrefix("ed25519:") } ?? []
    }
}
