internal import Cryptography
internal import MatrixModel
internal import Ratchet

/// A decrypted Olm event that is from whom it says and to us.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#molmv1curve25519-aes-sha2>
struct OlmPayload: Sendable {
    let type: String
    let content: JSONView
    let sender: UserID
    let senderKey: Curve25519.PublicKey
    /// The sender's fingerprint, as it claims.
    let ed25519: Ed25519.PublicKey
    /// The sender's device, where the payload brought its signed keys.
    let deviceKeys: DeviceKeys?

    init(
        _ plaintext: [UInt8], from sender: UserID, senderKey: Curve25519.PublicKey, to machine: EncryptionMachine,
        account: OlmAccount
    ) throws(EncryptionError) {
        guard let document = try? JSONDocument(plaintext) else { throw .malformed(path: "payload") }
        let root = document.root
        guard let type = root["type"]?.string, let content = root["content"], content.isObject else {
            throw .malformed(path: "payload.type")
        }
        guard root["sender"]?.string == sender.text else { throw .mismatch(rule: "the payload names its sender") }
        guard root["recipient"]?.string == machine.user.text else {
            throw .mismatch(rule: "the payload names its recipient")
        }
        guard
            let recipientKey = root["recipient_keys", "ed25519"]?.string.flatMap({ Base64.decode($0) }),
            recipientKey == account.ed25519Key.bytes
        else { throw .mismatch(rule: "the payload names the recipient's key") }
        guard let claimed = root["keys", "ed25519"]?.string.flatMap({ Base64.decode($0) }),
            let ed25519 = try? Ed25519.PublicKey(claimed)
        else { throw .malformed(path: "payload.keys.ed25519") }
        if let keys = root["sender_device_keys"], !keys.isNull {
            guard let device = keys["device_id"]?.string.flatMap({ try? DeviceID($0) }) else {
                throw .malformed(path: "payload.sender_device_keys.device_id")
            }
            let verified = try DeviceKeys(keys, of: sender, device: device)
            guard verified.ed25519 == ed25519, verified.curve25519 == senderKey else {
                throw .mismatch(rule: "sender_device_keys are the sender's")
            }
            deviceKeys = verified
        } else {
            deviceKeys = nil
        }
        self.type = type
        self.content = content
        self.sender = sender
        self.senderKey = senderKey
        self.ed25519 = ed25519
    }
}
