public import Cryptography
public import MatrixModel
public import Ratchet

/// A key of secret storage, as account data describes it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-storage>
public struct SecretStorageDescription: Sendable {
    /// The algorithm that we speak.
    public static let algorithm = "m.secret_storage.v1.aes-hmac-sha2"
    /// The account data that names the key in use.
    public static let defaultKeyType = "m.secret_storage.default_key"

    /// Names the key.
    public let id: String
    /// The content of `m.secret_storage.key.` and the id.
    public let content: JSONValue

    /// What the server has under this id.
    public init(id: String, content: JSONValue) {
        self.id = id
        self.content = content
    }

    /// The account data that describes the key.
    public var type: String { "m.secret_storage.key.\(id)" }

    /// Whether a passphrase opens it, beside the recovery key.
    public var hasPassphrase: Bool { content["passphrase"]?.isObject ?? false }

    /// A new key: random, or from a passphrase with 500,000 rounds of PBKDF2, which blocks for about half a second.
    public static func make(
        passphrase: String?, random: some RandomSource
    ) throws -> (key: SecretStorageKey, description: SecretStorageDescription) {
        var content: JSONValue = ["algorithm": .string(algorithm), "name": "fedchat"]
        let key: SecretStorageKey
        if let passphrase {
            let salt = random.token(32)
            key = try SecretStorageKey(passphrase: passphrase, salt: salt, iterations: Limits.passphraseRounds)
            content["passphrase"] = [
                "algorithm": "m.pbkdf2", "salt": .string(salt), "iterations": .integer(Int64(Limits.passphraseRounds)),
                "bits": 256,
            ]
        } else {
            key = try .generate(random)
        }
        let check = try key.check(random: random)
        content["iv"] = .string(Base64.encode(check.iv))
        content["mac"] = .string(Base64.encode(check.mac))
        return (key, SecretStorageDescription(id: random.token(24), content: content))
    }

    /// The key, from what its owner typed: a recovery key, or the passphrase. Throws `wrongRecoveryKey` if it is neither,
    /// `unknownAlgorithm` for a key of another kind.
    public func key(from text: String) throws -> SecretStorageKey {
        guard content["algorithm"]?.string == Self.algorithm else {
            throw EncryptionError.unknownAlgorithm(String((content["algorithm"]?.string ?? "").prefix(64)))
        }
        guard text.utf8.count <= Limits.passphraseBytes else { throw EncryptionError.wrongRecoveryKey }
        if let bytes = try? RecoveryKey.decode(text), let key = try? SecretStorageKey(bytes), fits(key) { return key }
        guard let passphrase = content["passphrase"], passphrase["algorithm"]?.string == "m.pbkdf2",
            passphrase["bits"]?.integer ?? 256 == 256, let salt = passphrase["salt"]?.string,
            let iterations = passphrase["iterations"]?.integer.flatMap({ Int(exactly: $0) }),
            let key = try? SecretStorageKey(passphrase: text, salt: salt, iterations: iterations), fits(key)
        else { throw EncryptionError.wrongRecoveryKey }
        return key
    }

    /// Without a check the key counts as right, as the specification has it: what it opens will tell.
    private func fits(_ key: SecretStorageKey) -> Bool {
        guard let iv = content["iv"]?.string, let mac = content["mac"]?.string else { return true }
        guard let iv = Base64.decode(iv), let mac = Base64.decode(mac) else { return false }
        return key.matches(iv: iv, mac: mac)
    }

    /// Whether a key that fits may be trusted with a secret: the description comes from the server, which could leave out
    /// the check, and have a passphrase cost next to nothing, so that it is guessed from what is sealed.
    public var isFitForSealing: Bool {
        guard content["iv"]?.string != nil, content["mac"]?.string != nil else { return false }
        return !hasPassphrase
            || content["passphrase", "iterations"]?.integer ?? 0 >= Int64(Limits.leastPassphraseRounds)
    }

    /// `content`, the account data of the secret called `name`, with `secret` sealed under this key. Throws `mismatch` for a
    /// description without a check of the key, or with a passphrase of fewer than 100,000 rounds.
    public func sealing(
        _ secret: String, _ name: String, with key: SecretStorageKey, in content: JSONValue = [:],
        random: some RandomSource
    ) throws -> JSONValue {
        guard isFitForSealing else {
            throw EncryptionError.mismatch(
                rule: "a key of secret storage can be checked, and its passphrase costs enough")
        }
        let sealed = try key.seal(Array(secret.utf8), name: name, random: random)
        var (content, encrypted) = (content, content["encrypted"] ?? [:])
        encrypted[id] = [
            "iv": .string(Base64.encode(sealed.iv)), "ciphertext": .string(Base64.encode(sealed.ciphertext)),
            "mac": .string(Base64.encode(sealed.mac)),
        ]
        content["encrypted"] = encrypted
        return content
    }

    /// The secret called `name` in its account data; nil where it is not sealed under this key. Throws
    /// `wrongRecoveryKey` for altered bytes or another key.
    public func opening(_ name: String, _ content: JSONValue, with key: SecretStorageKey) throws -> String? {
        guard let sealed = content["encrypted", id], sealed.isObject else { return nil }
        guard let iv = sealed["iv"]?.string.flatMap({ Base64.decode($0) }),
            let ciphertext = sealed["ciphertext"]?.string.flatMap({ Base64.decode($0) }),
            let mac = sealed["mac"]?.string.flatMap({ Base64.decode($0) }), ciphertext.count <= Limits.secretBytes
        else { throw EncryptionError.malformed(path: "\(name).encrypted") }
        do {
            let bytes = try key.open(.init(iv: iv, ciphertext: ciphertext, mac: mac), name: name)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw EncryptionError.malformed(path: name)
            }
            return text
        } catch is RatchetError {
            throw EncryptionError.wrongRecoveryKey
        }
    }
}
