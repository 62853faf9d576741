public import Cryptography

/// The signatures of an event: whose it needs, whether they hold, and adding to them.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events>
public enum EventSignatures {
    /// The servers without whose valid signature the event is dropped. What redaction leaves of an event may need others.
    public static func requiredServers(of event: PDU) -> Set<ServerName> {
        var servers: Set<ServerName> = []
        // The server that turns a third-party invite into an invite is not always the sender's; the authorization rules
        // check the invite's own signature. So there must be one.
        let isThirdPartyInvite =
            event.type == .member && event.content["membership"]?.string == "invite"
            && event.content["third_party_invite"]?["signed"]?.kind == .object
        if !isThirdPartyInvite { servers.insert(event.sender.serverName) }
        // "Room versions 1 and 2 also require that a signature is present from the domain in the event_id."
        if event.version.rules.eventIDIsSent, let server = event.id.serverName { servers.insert(server) }
        if event.version.rules.authorization.restrictedJoins, event.type == .member,
            let text = event.content["join_authorised_via_users_server"]?.string, let user = try? UserID(text)
        {
            servers.insert(user.serverName)
        }
        return servers
    }

    /// The ids of the keys with which a server has signed the event, valid or not.
    public static func keyIDs(of server: ServerName, on event: PDU) -> [String] {
        event.signatures?[server.text]?.members.map(\.key) ?? []
    }

    /// Those of them that may be keys by which the server signs its events; a policy server's key is none.
    public static func signingKeyIDs(of server: ServerName, on event: PDU) -> [String] {
        keyIDs(of: server, on: event).filter { $0.hasPrefix("ed25519:") && $0 != RoomPolicy.keyID }
    }

    /// What the signatures of an event are made over: its redacted form without `signatures` and `unsigned`.
    public static func signedBytes(of event: PDU) -> [UInt8] {
        signedBytes(of: event.document.root, rules: event.version.rules)
    }

    static func signedBytes(of event: JSONView, rules: RoomVersionRules) -> [UInt8] {
        Redaction.canonicalJSON(of: event, rules: rules, omitting: ["signatures", "unsigned"])
    }

    /// A signature of an event, in unpadded base64.
    public static func signature(of event: PDU, by key: Ed25519.SigningKey) -> String {
        Base64.encode(key.sign(signedBytes(of: event)), .standardUnpadded)
    }

    /// Whether the server's signature by this key is there and holds. Whether the key counted at the time, the caller knows.
    public static func verify(
        _ event: PDU, server: ServerName, keyID: String, key: Ed25519.PublicKey
    ) -> Bool {
        guard let text = event.signatures?[server.text]?[keyID]?.string, let signature = Base64.decode(text) else {
            return false
        }
        return key.verifies(signature, of: signedBytes(of: event))
    }
}

extension PDU {
    /// The event with one more signature, as a resident server gives one to a restricted join.
    /// - Throws: `MalformedEvent` where the event grows too large.
    public func signed(
        by server: ServerName, keyID: String, key: Ed25519.SigningKey
    ) throws(MalformedEvent) -> PDU {
        try adding(signature: EventSignatures.signature(of: self, by: key), of: server, keyID: keyID)
    }

    /// The event with a signature made elsewhere, such as a policy server's.
    public func adding(
        signature: String, of server: ServerName, keyID: String
    ) throws(MalformedEvent) -> PDU {
        // All else is copied as it is: it is what was hashed and signed.
        var all = signatures.map { JSONValue($0) } ?? .object([:])
        var ofServer = all[server.text] ?? .object([:])
        ofServer[keyID] = .string(signature)
        all[server.text] = ofServer
        var writer = JSONWriter(reserving: canonicalJSON.count + 256)
        writer.beginObject()
        for (key, value) in document.root.members {
            writer.key(key)
            if key == "signatures" { writer.value(all) } else { writer.raw(value.rawBytes) }
        }
        writer.endObject()
        let bytes = writer.bytes
        guard bytes.count <= EventLimits.bytes else {
            throw MalformedEvent(.tooLarge, "an event has at most \(EventLimits.bytes) bytes")
        }
        return try PDU(trusted: bytes, id: id, roomID: roomID, version: version)
    }
}
