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
    var fullCodes = OutboundGroupSession(random: random, form: .full)
    return [
        "olm-message": [[0] + preKey.bytes, [1] + normal.bytes],
        "megolm-message": [message, try fullCodes.encrypt(Array("hello".utf8))],
        "hybrid-message": try hybridSeeds(),
        "dehydrated-device": [try dehydrated(bob)], "foreign-pickle": foreignSeeds(),
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

private func dehydrated(_ account: OlmAccount) throws -> [UInt8] {
    let key = SecretBytes([UInt8](repeating: 3, count: 32), placement: .pooled)
    let device = try DehydratedDevice(account, key: key, random: SystemRandomSource())
    return try ChaCha20Poly1305.open(device.pickle, key: key, nonce: device.nonce)
}

/// The insides of vodozemac's pickles with numbers made up, and a libolm group session with zeros.
private func foreignSeeds() -> [[UInt8]] {
    func list(_ count: Int) -> String { "[" + (0..<count).map { "\($0 * 7 % 256)" }.joined(separator: ",") + "]" }
    let chain = "{\"key\":\(list(32)),\"index\":1}"
    let keys = "{\"identity_key\":\(list(32)),\"base_key\":\(list(32)),\"one_time_key\":\(list(32))}"
    let receiving =
        "{\"inner\":[{\"ratchet_key\":\(list(32)),\"hkdf_ratchet\":\(chain),\"skipped_message_keys\":{\"inner\":[\(chain)]}}]}"
    let tail = "\"receiving_chains\":\(receiving),\"config\":{\"version\":\"V1\"}}"
    let active = "{\"root_key\":\(list(32)),\"ratchet_key\":\(list(32))}"
    let texts = [
        "{\"session_keys\":\(keys),\"sending_ratchet\":{\"type\":\"active\",\"active_ratchet\":\(active),"
            + "\"symmetric_key_ratchet\":\(chain)},\(tail)",
        "{\"session_keys\":\(keys),\"sending_ratchet\":{\"type\":\"inactive\",\"root_key\":{\"key\":\(list(32))},"
            + "\"ratchet_key\":\(list(32))},\(tail)",
        "{\"ratchet\":{\"inner\":\(list(128)),\"counter\":5},\"signing_key\":{\"Normal\":\(list(32))},\"config\":null}",
        "{\"initial_ratchet\":{\"inner\":\(list(128)),\"counter\":5},\"signing_key\":\(list(32)),\"signing_key_verified\":true}",
        "{\"signing_key\":{\"Normal\":\(list(32))},\"diffie_hellman_key\":\(list(32)),\"one_time_keys\":{\"next_key_id\":2,"
            + "\"public_keys\":{\"1\":\(list(32))},\"private_keys\":{\"0\":\(list(32)),\"1\":\(list(32))}},\"fallback_keys\":"
            + "{\"key_id\":1,\"fallback_key\":{\"key_id\":0,\"key\":\(list(32)),\"published\":false},\"previous_fallback_key\":null}}",
    ]
    let inbound: [UInt8] = [0, 0, 0, 2] + [UInt8](repeating: 0, count: 132 * 2 + 32) + [1]
    let session: [UInt8] =
        [0, 0, 0, 1, 1] + [UInt8](repeating: 9, count: 128) + [0, 0, 0, 0, 0, 0, 0, 1]
        + [UInt8](repeating: 9, count: 64) + [0, 0, 0, 0, 0, 0, 0, 0]
    return texts.map { [1] + Array($0.utf8) } + [[0] + inbound, [0] + session]
}

/// What libFuzzer calls first. With `FEDCHAT_FUZZ_SEEDS`, a folder, writes seeds there and ends.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>>?
) -> CInt {
    guard let folder = getenv("FEDCHAT_FUZZ_SEEDS").map({ String(cString: $0) }) else { return 0 }
    do {
        for (target, seeds) in try encryptionSeeds().merging(try clientKeySeeds(), uniquingKeysWith: +) {
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
