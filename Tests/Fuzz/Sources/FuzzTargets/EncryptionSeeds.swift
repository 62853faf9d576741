import Cryptography
private import Glibc
import Ratchet

/// Genuine messages, keys and pickles for the targets of `Encryption.swift` to begin with, by target.
private func encryptionSeeds() throws -> [String: [[UInt8]]] {
    let random = SystemRandomSource()
    let key = [UInt8](repeating: 3, count: 32)
    func inside(_ pickle: [UInt8]) throws -> [UInt8] {
        let header = Array(pickle.prefix(2))
        return try [pickle[1]]
            + XChaCha20Poly1305.open(Array(pickle.dropFirst(2)), key: key, additionalData: header)
    }
    let alice = OlmAccount(random: random)
    var bob = OlmAccount(random: random)
    bob.generateOneTimeKeys(2, random: random)
    bob.generateFallbackKey(random: random)
    guard let oneTimeKey = bob.unpublishedOneTimeKeys.first?.publicKey else { return [:] }
    var there = try alice.outboundSession(
        identityKey: bob.curve25519Key, oneTimeKey: oneTimeKey, random: random)
    let preKey = try there.encrypt(Array("hello".utf8), random: random)
    let (session, _) = try bob.inboundSession(
        identityKey: alice.curve25519Key, preKeyMessage: PreKeyMessage(preKey.bytes))
    var here = session
    let normal = try here.encrypt(Array("hello".utf8), random: random)
    var group = OutboundGroupSession(random: random)
    let message = try group.encrypt(Array("hello".utf8))
    let file = try KeyExport.seal(Array("[]".utf8), passphrase: "secret", rounds: 1, random: random)
    let payload = file.split(separator: "\n").dropFirst().dropLast().joined()
    return [
        "olm-message": [[0] + preKey.bytes, [1] + normal.bytes],
        "megolm-message": [message],
        "session-key": [group.sessionKey, group.inbound.exportedKey],
        "pickle": [
            try inside(bob.pickle(key: key, random: random)), try inside(here.pickle(key: key, random: random)),
            try inside(group.pickle(key: key, random: random)),
            try inside(group.inbound.pickle(key: key, random: random)),
        ],
        "key-export": [Base64.decode(payload) ?? []],
        "recovery-key": [Array(try RecoveryKey.encode(key).utf8)],
    ]
}

/// What libFuzzer calls first. With `FEDCHAT_FUZZ_SEEDS`, a folder, writes seeds there and ends.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>>?
) -> CInt {
    guard let folder = getenv("FEDCHAT_FUZZ_SEEDS").map({ String(cString: $0) }) else { return 0 }
    do {
        for (target, seeds) in try encryptionSeeds() {
            mkdir("\(folder)/\(target)", 0o755)
            for (number, seed) in seeds.enumerated() {
                guard let file = fopen("\(folder)/\(target)/made-\(number)", "w") else { fatalError("cannot write") }
                fwrite(seed, 1, seed.count, file)
                fclose(file)
            }
        }
    } catch { fatalError("no seeds: \(error)") }
    exit(0)
}
