internal import Cryptography
internal import MatrixModel
internal import SQLDatabase

/// Three private keys that make an identity.
struct NewIdentity: Sendable {
    let master: Ed25519.SigningKey
    let selfSigning: Ed25519.SigningKey
    let userSigning: Ed25519.SigningKey

    init(random: any RandomSource) {
        master = .generate(random)
        selfSigning = .generate(random)
        userSigning = .generate(random)
    }

    /// From 96 bytes, three seeds.
    init(seeds: [UInt8]) throws {
        guard seeds.count == 96 else { throw EncryptionError.damagedStore(what: "pending keys") }
        master = try Ed25519.SigningKey(seed: Array(seeds[..<32]))
        selfSigning = try Ed25519.SigningKey(seed: Array(seeds[32..<64]))
        userSigning = try Ed25519.SigningKey(seed: Array(seeds[64...]))
    }

    var seeds: [UInt8] { master.seed + selfSigning.seed + userSigning.seed }

    /// The public half, unpadded base64.
    func text(of usage: CrossSigningKey.Usage) -> String { Base64.encode(key(usage).publicKey.bytes) }

    func key(_ usage: CrossSigningKey.Usage) -> Ed25519.SigningKey {
        switch usage {
        case .master: master
        case .selfSigning: selfSigning
        case .userSigning: userSigning
        }
    }

    /// The key as it is published, signed by the master key where it is not that itself.
    func object(_ usage: CrossSigningKey.Usage, of user: UserID) -> JSONValue {
        let key: JSONValue = [
            "user_id": .string(user.text), "usage": [.string(usage.rawValue)],
            "keys": ["ed25519:\(text(of: usage))": .string(text(of: usage))],
        ]
        guard usage != .master else { return key }
        return SignedJSON.sign(key, as: user.text, keyID: "ed25519:\(text(of: .master))", with: master)
    }

    /// Makes them the secrets of this device.
    func keep(in machine: EncryptionMachine, _ connection: any SQLConnection) throws {
        try machine.keep(master.seed, as: .master, in: connection)
        try machine.keep(selfSigning.seed, as: .selfSigning, in: connection)
        try machine.keep(userSigning.seed, as: .userSigning, in: connection)
    }
}
