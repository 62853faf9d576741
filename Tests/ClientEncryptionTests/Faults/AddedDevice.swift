import Cryptography
import HTTPMessages
import MatrixModel
import Ratchet
import Synchronization

@testable import ClientEncryption

/// A device that a server adds to somebody's account, as only a server can: its keys are rightly signed by itself, and one-time
/// keys of it are given to whoever claims some.
final class AddedDevice: Sendable {
    let user: UserID
    let device: DeviceID
    private let keys: JSONValue
    private let oneTimeKeys: Mutex<[JSONValue]>
    private let messages = Mutex(0)

    init(to user: UserID) throws {
        self.user = user
        device = try DeviceID("ADDED")
        let machine = EncryptionMachine(
            user: user, device: device, key: try StoreKey(FaultDevice.key), random: SystemRandomSource(), now: { 0 })
        var account = OlmAccount(random: SystemRandomSource())
        account.generateOneTimeKeys(5, random: SystemRandomSource())
        keys = machine.deviceKeys(account)
        let (id, signer) = ("ed25519:\(device)", account.ed25519SigningKey)
        oneTimeKeys = Mutex(
            account.unpublishedOneTimeKeys.map { key in
                let value: JSONValue = ["key": .string(Base64.encode(key.publicKey.bytes))]
                return SignedJSON.sign(value, as: user.text, keyID: id, with: signer)
            })
    }

    /// How many encrypted messages were sent to it.
    var messageCount: Int { messages.withLock { $0 } }

    /// What the server answers.
    func change(_ request: ClientRequest, _ answer: JSONValue) -> JSONValue {
        if request.pathAndQuery.contains("/sendToDevice/m.room.encrypted") {
            let body = try? JSONValue.parse(request.body)
            if body?["messages"]?[user.text]?[device.text] != nil { messages.withLock { $0 += 1 } }
        }
        if request.pathAndQuery.contains("/keys/query"), answer["device_keys", user.text] != nil {
            return adding(keys, under: "device_keys", to: answer)
        }
        if request.pathAndQuery.contains("/keys/claim"),
            let key = oneTimeKeys.withLock({ $0.popLast() })
        {
            return adding(["signed_curve25519:1": key], under: "one_time_keys", to: answer)
        }
        return answer
    }

    private func adding(_ value: JSONValue, under field: String, to answer: JSONValue) -> JSONValue {
        var answer = answer
        var all = answer[field] ?? [:]
        var own = all[user.text] ?? [:]
        own[device.text] = value
        all[user.text] = own
        answer[field] = all
        return answer
    }
}
