import Cryptography
import Ratchet
import Testing

@Suite("dehydrated devices") struct DehydratedDeviceTests {
    let key = SecretBytes(random.bytes(32), placement: .pooled)

    private func account() -> OlmAccount {
        var account = OlmAccount(random: random)
        account.generateOneTimeKeys(3, random: random)
        account.generateFallbackKey(random: random)
        return account
    }

    @Test func `what was sent to it meanwhile is read, by one-time keys and the fallback key`() throws {
        let (device, sender) = (account(), OlmAccount(random: random))
        let keys =
            device.unpublishedOneTimeKeys.map(\.publicKey)
            + [device.unpublishedFallbackKey?.publicKey].compactMap { $0 }
        let sealed = try DehydratedDevice(device, key: key, random: random)
        var awake = try DehydratedDevice(pickle: sealed.pickle, nonce: sealed.nonce).account(key: key)
        #expect(awake.curve25519Key == device.curve25519Key)
        #expect(awake.sign([1]) == device.sign([1]))
        #expect(awake.oneTimeKeyCount == 3)
        #expect(awake.unpublishedOneTimeKeys.isEmpty && awake.unpublishedFallbackKey == nil)
        #expect(keys.count == 4)
        for key in keys {
            var session = try sender.outboundSession(
                identityKey: device.curve25519Key, oneTimeKey: key, random: random)
            let message = try session.encrypt([7], random: random)
            let (_, plaintext) = try awake.inboundSession(
                identityKey: sender.curve25519Key, preKeyMessage: PreKeyMessage(message.bytes))
            #expect(plaintext == [7])
        }
    }

    @Test func `a fallback key counts as published where it is the only key`() throws {
        var device = OlmAccount(random: random)
        device.generateFallbackKey(random: random)
        let fallbackKey = try #require(device.unpublishedFallbackKey).publicKey
        var awake = try DehydratedDevice(device, key: key, random: random).account(key: key)
        #expect(awake.unpublishedFallbackKey == nil)
        #expect(awake.uploadMark == 1)
        let sender = OlmAccount(random: random)
        var session = try sender.outboundSession(
            identityKey: device.curve25519Key, oneTimeKey: fallbackKey, random: random)
        let message = try PreKeyMessage(session.encrypt([7], random: random).bytes)
        #expect(
            try awake.inboundSession(identityKey: sender.curve25519Key, preKeyMessage: message).plaintext == [7])
    }

    @Test func `it is laid out as vodozemac does`() throws {
        let device = account()
        let sealed = try DehydratedDevice(device, key: key, random: random)
        #expect(sealed.nonce.count == 12)
        let body = try ChaCha20Poly1305.open(sealed.pickle, key: key, nonce: sealed.nonce)
        // Version, two identity secrets, a list of three, a fallback key.
        #expect(body.count == 4 + 32 + 32 + 4 + 3 * 32 + 1 + 32)
        #expect(Array(body[..<4]) == [0, 0, 0, 1])
        #expect(try Curve25519.PrivateKey(Array(body[4..<36])).publicKey == device.curve25519Key)
        #expect(try Ed25519.SigningKey(seed: Array(body[36..<68])).publicKey == device.ed25519Key)
        #expect(Array(body[68..<72]) == [0, 0, 0, 3])
        #expect(
            try Curve25519.PrivateKey(Array(body[72..<104])).publicKey == device.unpublishedOneTimeKeys[0].publicKey)
        #expect(body[168] == 1)
    }

    @Test func `another key, another nonce, altered and cut bytes are refused`() throws {
        let sealed = try DehydratedDevice(account(), key: key, random: random)
        #expect(throws: RatchetError.cannotOpen) {
            try sealed.account(key: SecretBytes(random.bytes(32), placement: .pooled))
        }
        #expect(throws: RatchetError.refusedKey) {
            try sealed.account(key: SecretBytes([1] as [UInt8], placement: .pooled))
        }
        #expect(throws: RatchetError.refusedKey) {
            try DehydratedDevice(pickle: sealed.pickle, nonce: [1]).account(key: key)
        }
        for index in stride(from: 0, to: sealed.pickle.count, by: 5) {
            var altered = sealed.pickle
            altered[index] ^= 1
            #expect(throws: RatchetError.cannotOpen) {
                try DehydratedDevice(pickle: altered, nonce: sealed.nonce).account(key: key)
            }
            #expect(throws: RatchetError.cannotOpen) {
                try DehydratedDevice(pickle: Array(sealed.pickle.prefix(index)), nonce: sealed.nonce).account(key: key)
            }
        }
        let longest = DehydratedDevice(pickle: [UInt8](repeating: 0, count: 1 << 20), nonce: sealed.nonce)
        #expect(throws: RatchetError.cannotOpen) { try longest.account(key: key) }
        let long = DehydratedDevice(pickle: [UInt8](repeating: 0, count: (1 << 20) + 1), nonce: sealed.nonce)
        #expect(throws: RatchetError.malformed(rule: "a pickle has at most 1 MiB")) { try long.account(key: key) }
    }

    @Test func `sealed bytes of another layout are refused`() throws {
        let nonce = random.bytes(12)
        let keys = random.bytes(64)
        for body in [
            [], [0, 0, 0, 2] + keys + [0, 0, 0, 0, 0], [0, 0, 0, 1] + keys + [0, 0, 0, 1, 0],
            [0, 0, 0, 1] + keys + [0, 0, 0, 0, 2], [0, 0, 0, 1] + keys + [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 1] + keys + [255, 255, 255, 255, 0], [0, 0, 0, 1] + keys + [0, 0, 0, 0, 1],
        ] as [[UInt8]] {
            let pickle = try ChaCha20Poly1305.seal(body, key: key, nonce: nonce)
            #expect(throws: RatchetError.self) { try DehydratedDevice(pickle: pickle, nonce: nonce).account(key: key) }
        }
        let good = try ChaCha20Poly1305.seal([0, 0, 0, 1] + keys + [0, 0, 0, 0, 0], key: key, nonce: nonce)
        #expect(try DehydratedDevice(pickle: good, nonce: nonce).account(key: key).oneTimeKeyCount == 0)
    }
}
