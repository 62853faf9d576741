internal import HomeserverStorage
internal import MatrixModel

/// What a client was told that an event says, beside what its server has.
enum ToldContent {
    /// What nobody but the sender decides. The id is compared elsewhere; all else is added by servers.
    private static let fields = ["content", "origin_server_ts", "sender", "state_key", "type"]

    /// What an event in the format of clients says.
    static func text(of entry: JSONValue) -> [UInt8] {
        var kept: [String: JSONValue] = [:]
        for field in fields { if let value = entry[field] { kept[field] = value } }
        return JSONValue.object(kept).serialized()
    }

    /// What is wrong with a text that was told of an event, in words; nil where it is what the server has, or was so when it
    /// was told: before a redaction, or before a whole copy came.
    /// - Parameter isMended: whether a whole copy may have come after one that was not.
    static func fault(in told: [UInt8], of stored: StoredEvent, isMended: Bool, _ records: Records?) -> String? {
        if let why = records?.markedReason(in: String(decoding: told, as: UTF8.self)) { return why }
        let now = text(of: ClientEvent.value(of: stored.pdu, withRoomID: false))
        if told == now { return nil }
        if stored.redactedBy != nil, let document = try? JSONDocument(told) {
            let redacted = Redaction.redact(document.root, rules: stored.pdu.version.rules)
            if text(of: redacted) == now { return nil }
        }
        if isMended, let redacted = try? stored.pdu.redacted(),
            told == text(of: ClientEvent.value(of: redacted, withRoomID: false))
        {
            return nil
        }
        return "another content than it has"
    }
}
