internal import Cryptography
public import MatrixAPI
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// An upload of keys to be made, and what it contains.
public struct KeyUpload: Sendable {
    /// `POST /keys/upload`
    public let call: APICall
    let mark: UInt64
    let hasFallbackKey: Bool
}

extension EncryptionMachine {
    /// The upload that is due: device keys once, one-time keys below half of the maximum, a fallback key that was used.
    /// Keys are in the store before they are published; an upload without an answer is repeated with the same keys.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#uploading-keys>
    public func keyUpload(in connection: any SQLConnection) throws -> KeyUpload? {
        guard
            let row = try connection.query("SELECT uploaded, keys_on_server, fallback_unused FROM olm_account").first
        else { throw EncryptionError.damagedStore(what: "the account") }
        let isUploaded = try row.bool(0)
        let onServer = try row.optionalInteger(1) ?? 0
        var account = try account(in: connection)
        let wanted = OlmAccount.maximumOneTimeKeys / 2
        let missing = wanted - Int(clamping: onServer) - account.unpublishedOneTimeKeys.count
        if missing > 0 { account.generateOneTimeKeys(missing, random: random) }
        if isUploaded, try !row.bool(2), account.unpublishedFallbackKey == nil {
            account.generateFallbackKey(random: random)
        }
        let fallback = account.unpublishedFallbackKey
        let oneTimeKeys = account.unpublishedOneTimeKeys
        guard !isUploaded || !oneTimeKeys.isEmpty || fallback != nil else { return nil }
        try save(account, in: connection)

        var body: JSONValue = [:]
        if !isUploaded { body["device_keys"] = deviceKeys(account) }
        if !oneTimeKeys.isEmpty {
            body["one_time_keys"] = .object(
                Dictionary(oneTimeKeys.map { ("signed_curve25519:\($0.id)", signed($0, account, isFallback: false)) }) {
                    $1
                })
        }
        if let fallback {
            body["fallback_keys"] = [
                "signed_curve25519:\(fallback.id)": signed(fallback, account, isFallback: true)
            ]
        }
        return KeyUpload(
            call: APICall(.uploadKeys, body: body), mark: account.uploadMark, hasFallbackKey: fallback != nil)
    }

    /// After the server took the upload.
    public func uploaded(_ upload: KeyUpload, response: JSONView, in connection: any SQLConnection) throws {
        var account = try account(in: connection)
        account.markPublished(upTo: upload.mark)
        try save(account, in: connection)
        let count = response["one_time_key_counts", "signed_curve25519"]?.integer
        try connection.execute("UPDATE olm_account SET uploaded = 1, keys_on_server = \(count)")
        if upload.hasFallbackKey { try connection.execute("UPDATE olm_account SET fallback_unused = 1") }
    }

    /// The signed identity of this device.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#device-keys>
    func deviceKeys(_ account: OlmAccount) -> JSONValue {
        let keys: JSONValue = [
            "user_id": .string(user.text),
            "device_id": .string(device.text),
            "algorithms": [.string(Algorithm.olm), .string(Algorithm.megolm)],
            "keys": [
                "curve25519:\(device.text)": .string(Base64.encode(account.curve25519Key.bytes)),
                "ed25519:\(device.text)": .string(Base64.encode(account.ed25519Key.bytes)),
            ],
        ]
        return sign(keys, account)
    }

    private func signed(_ key: OlmAccount.OneTimeKey, _ account: OlmAccount, isFallback: Bool) -> JSONValue {
        var value: JSONValue = ["key": .string(Base64.encode(key.publicKey.bytes))]
        if isFallback { value["fallback"] = true }
        return sign(value, account)
    }

    private func sign(_ value: JSONValue, _ account: OlmAccount) -> JSONValue {
        SignedJSON.sign(
            value, as: user.text, keyID: "ed25519:\(device.text)", with: account.ed25519SigningKey)
    }
}

/// The names of the algorithms we speak.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#messaging-algorithms>
enum Algorithm {
    static let olm = "m.olm.v1.curve25519-aes-sha2"
    static let megolm = "m.megolm.v1.aes-sha2"
}
