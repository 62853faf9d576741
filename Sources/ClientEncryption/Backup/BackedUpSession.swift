internal import Cryptography
internal import MatrixModel
internal import Ratchet

/// What the server keeps of a session in the online backup, opened. The server can have made all of it up.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#definition-keybackupdata>
struct BackedUpSession: Sendable {
    /// As it was exported, with the room and the session under which the server keeps it.
    let exported: JSONView

    /// nil for what is sealed under another key, altered, or no such session.
    init?(_ data: JSONView, room: String, session: String, key: BackupKey) {
        let sealed = data["session_data"]
        guard let ephemeral = sealed?["ephemeral"]?.string.flatMap({ Base64.decode($0) }),
            let ciphertext = sealed?["ciphertext"]?.string.flatMap({ Base64.decode($0) }),
            let mac = sealed?["mac"]?.string.flatMap({ Base64.decode($0) }), ciphertext.count <= Limits.payloadBytes,
            let plaintext = try? key.open(.init(ephemeral: ephemeral, ciphertext: ciphertext, mac: mac)),
            var content = try? JSONValue.parse(plaintext)
        else { return nil }
        content["room_id"] = .string(room)
        content["session_id"] = .string(session)
        guard let view = try? JSONDocument(content.serialized()).root,
            (try? InboundGroupSession(exportedKey: Base64.decode(view["session_key"]?.string ?? "") ?? []).id)
                == session
        else { return nil }
        exported = view
    }
}
