/// How much of a message's code is sent with it; its first byte, the version, says which.
public enum MACForm: UInt8, Sendable, Hashable {
    /// Eight bytes: what the specification has. Olm and Megolm message version 3.
    case truncated = 3
    /// All 32 bytes: vodozemac's message version 4, of its second session configuration.
    case full = 4

    /// Bytes of the code.
    var size: Int { self == .full ? 32 : 8 }

    /// The form that a message's first byte names. Throws `malformed` or `unsupportedVersion`.
    init(of message: ArraySlice<UInt8>) throws(RatchetError) {
        guard let version = message.first else { throw .malformed(rule: "a message has a version") }
        guard let form = MACForm(rawValue: version) else { throw .unsupportedVersion(version) }
        self = form
    }
}
