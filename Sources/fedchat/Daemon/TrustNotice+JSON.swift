import ClientEncryption
import MatrixModel

extension TrustNotice {
    /// One object, as `--json` prints it.
    var json: JSONValue {
        .fields([
            "notice": .string(kind.rawValue), "user_id": .string(user.text),
            "device_id": device.map { .string($0.text) }, "ed25519": .string(key), "own": .bool(isOwn),
            "gets_keys": kind == .newDevice ? .bool(getsKeys) : nil, "gone": isGone ? true : nil,
            "explanation": .string(explanation), "advice": .string(advice),
        ])
    }

    /// What to do about it.
    private var advice: String {
        switch (kind, isOwn) {
        case (.newDevice, true):
            """
            if it is not yours, log it out and change your password; if it is, verify it with "fedchat verify", after \
            "fedchat cross-signing bootstrap" where you have no cross-signing keys
            """
        case (.newDevice, false):
            """
            ask them whether it is theirs; "fedchat devices \(user) --block \(device?.text ?? "")" keeps keys from it, \
            "fedchat key-sharing cross-signed-devices" from all that are not signed
            """
        case (.newIdentity, true):
            "if you have not made them on another device, change your password; if you have, run \"fedchat verify\""
        case (.newIdentity, false):
            "compare with them: \"fedchat verify \(user)\""
        }
    }
}
