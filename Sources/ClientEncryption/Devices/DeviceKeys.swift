internal import Cryptography
internal import MatrixModel
internal import PostQuantum

/// The identity keys of a device, verified to be signed by themselves.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#device-keys>
struct DeviceKeys: Sendable, Hashable {
    let user: UserID
    let device: DeviceID
    let curve25519: Curve25519.PublicKey
    let ed25519: Ed25519.PublicKey
    let displayName: String?
    /// Whether its signed `algorithms` name the hybrid of X25519 and ML-KEM-768.
    let offersHybrid: Bool

    /// Reads and verifies. Throws `malformed`, or `mismatch` for keys that name another user or device, or whose
    /// signature does not fit.
    init(_ view: JSONView, of user: UserID, device: DeviceID) throws(EncryptionError) {
        guard view["user_id"]?.string == user.text, view["device_id"]?.string == device.text else {
            throw .mismatch(rule: "device keys name their own device")
        }
        let keys = view["keys"]
        guard let curve = keys?["curve25519:\(device.text)"]?.string.flatMap({ Base64.decode($0) }),
            let ed = keys?["ed25519:\(device.text)"]?.string.flatMap({ Base64.decode($0) }),
            let curve25519 = try? Curve25519.PublicKey(curve), let ed25519 = try? Ed25519.PublicKey(ed)
        else { throw .malformed(path: "device_keys.keys") }
        guard SignedJSON.verify(view, entity: user.text, keyID: "ed25519:\(device.text)", key: ed25519) else {
            throw .mismatch(rule: "device keys are signed by their device")
        }
        self.user = user
        self.device = device
        self.curve25519 = curve25519
        self.ed25519 = ed25519
        offersHybrid = view["algorithms"]?.elements.contains { $0.string == HybridAlgorithm.name } ?? false
        displayName = view["unsigned", "device_display_name"]?.string.map { String($0.prefix(256)) }
    }
}
