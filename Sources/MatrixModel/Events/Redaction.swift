/// Takes from an event all that its room version does not protect.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#redactions>
public enum Redaction {
    /// The event as a redaction leaves it. Its hashes and signatures stay, and stay valid. `unsigned` goes.
    public static func redact(_ event: JSONView, rules: RoomVersionRules) -> JSONValue {
        var kept: [String: JSONValue] = ["content": .object([:])]
        for (key, value) in event.members where rules.redaction.topLevelKeys.contains(key) && key != "content" {
            kept[key] = JSONValue(value)
        }
        var content: [String: JSONValue] = [:]
        for (key, value) in keptContent(of: event, rules: rules.redaction) {
            content[key] = value.signedOnly ? JSONValue.object(signedPart(of: value.view)) : JSONValue(value.view)
        }
        kept["content"] = .object(content)
        return .object(kept)
    }

    /// The same as canonical JSON, for hashing and signing.
    /// - Parameters:
    ///   - event: an event that is canonical JSON already: its parts are copied as they are, in their order.
    ///   - omitted: further keys to leave out.
    static func canonicalJSON(
        of event: JSONView, rules: RoomVersionRules, omitting omitted: Set<String> = []
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        var contentIsWritten = false
        for (key, value) in event.members where rules.redaction.topLevelKeys.contains(key) && !omitted.contains(key) {
            // An event without content has an empty one when redacted, and that in its place.
            if !contentIsWritten, !precedes(key, "content") {
                writeContent(of: event, rules: rules.redaction, into: &writer)
                contentIsWritten = true
            }
            if key != "content" {
                writer.key(key)
                writer.raw(value.rawBytes)
            }
        }
        if !contentIsWritten { writeContent(of: event, rules: rules.redaction, into: &writer) }
        writer.endObject()
        return writer.bytes
    }

    private static func writeContent(of event: JSONView, rules: RedactionRules, into writer: inout JSONWriter) {
        writer.key("content")
        writer.beginObject()
        for (key, value) in keptContent(of: event, rules: rules) {
            writer.key(key)
            if value.signedOnly {
                writer.beginObject()
                if let signed = value.view["signed"] {
                    writer.key("signed")
                    writer.raw(signed.rawBytes)
                }
                writer.endObject()
            } else {
                writer.raw(value.view.rawBytes)
            }
        }
        writer.endObject()
    }

    /// What stays of a key of the content: the value, or of a third-party invite only `signed`.
    private typealias Kept = (view: JSONView, signedOnly: Bool)

    private static func keptContent(of event: JSONView, rules: RedactionRules) -> [(String, Kept)] {
        guard let content = event["content"], content.kind == .object, let type = event["type"]?.string else {
            return []
        }
        let signedOnly = rules.keepsThirdPartyInviteSigned && type == EventType.member.text
        var kept: [(String, Kept)] = []
        for (key, value) in content.members {
            switch rules.content[type] {
            case .everything: kept.append((key, (value, false)))
            case .keys(let keys) where keys.contains(key): kept.append((key, (value, false)))
            // Without a `signed` an empty object stays: so the servers do whose hashes ours must equal.
            case .keys where signedOnly && key == "third_party_invite" && value.kind == .object:
                kept.append((key, (value, true)))
            case .keys, nil: break
            }
        }
        return kept
    }

    private static func signedPart(of invite: JSONView) -> [String: JSONValue] {
        invite["signed"].map { ["signed": JSONValue($0)] } ?? [:]
    }

    private static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}

extension PDU {
    /// The event as a redaction leaves it: the same id and signatures. What comes in its place where the content hash
    /// does not match, or where somebody redacted it.
    /// - Throws: `MalformedEvent`, which a redacted event never is.
    public func redacted() throws(MalformedEvent) -> PDU {
        try PDU(
            trusted: Redaction.canonicalJSON(of: document.root, rules: version.rules), id: id, roomID: roomID,
            version: version)
    }
}
