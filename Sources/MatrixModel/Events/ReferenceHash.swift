internal import Cryptography

/// The hash by which other events refer to an event. It covers what survives redaction, so it is the same for both forms.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#calculating-the-reference-hash-for-an-event>
public enum ReferenceHash {
    /// The 32 bytes for an event that is canonical JSON.
    public static func compute(_ event: JSONView, rules: RoomVersionRules) -> [UInt8] {
        SHA256.hash(Redaction.canonicalJSON(of: event, rules: rules, omitting: ["signatures", "unsigned"]))
    }

    /// The event id that follows from the hash; `nil` in room versions 1 and 2, which send theirs.
    static func eventID(of event: JSONView, rules: RoomVersionRules) -> EventID? {
        let form: Base64.Form
        switch rules.eventIDFormat {
        case .randomWithServer: return nil
        case .base64Hash: form = .standardUnpadded
        case .urlSafeBase64Hash: form = .urlSafeUnpadded
        }
        return try? EventID("$" + Base64.encode(compute(event, rules: rules), form))
    }
}

extension PDU {
    /// 32 bytes; what room versions 1 and 2 put beside the id of an event they refer to.
    public var referenceHash: [UInt8] { ReferenceHash.compute(document.root, rules: version.rules) }

    /// Whether this is the same event as another, whole or redacted. In room versions 1 and 2 the id alone does not say so: it
    /// is whatever its server chose.
    public func isCopy(of other: PDU) -> Bool {
        id == other.id && roomID == other.roomID
            && (!version.rules.eventIDIsSent || referenceHash == other.referenceHash)
    }
}
