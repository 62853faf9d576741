internal import Cryptography
internal import MatrixModel
internal import Ratchet

/// The ratchets' operations, timed one by one: the same ones, in the same numbers, as Tests/PeerTests/ratchet_bench.py times of
/// vodozemac.
enum Benchmark {
    private static let random = SystemRandomSource()
    private static let text = [UInt8](repeating: 7, count: 1024)
    private static let count = 1_000

    /// The median of so many rounds, microseconds by operation, as one line of JSON.
    static func run(rounds: Int) throws -> String {
        var found: [String: [Double]] = [:]
        for _ in 0..<max(1, rounds) {
            for (name, measure) in measures { found[name, default: []].append(try measure()) }
        }
        let medians = found.mapValues { values in
            // Nanoseconds in a decimal text: the JSON of ours has integers only.
            JSONValue.string("\((values.sorted()[values.count / 2] * 1000).rounded() / 1000)")
        }
        return String(decoding: JSONValue.object(medians).serialized(), as: UTF8.self)
    }

    private static let measures: [(String, @Sendable () throws -> Double)] = [
        ("session_outbound", outbound), ("session_inbound", inbound), ("olm_encrypt", olmEncrypt),
        ("olm_decrypt", olmDecrypt), ("olm_ping_pong", pingPong), ("megolm_encrypt", megolmEncrypt),
        ("megolm_decrypt", megolmDecrypt), ("megolm_skip_100000", megolmSkip),
    ]

    /// Microseconds for each of `count` calls.
    private static func time(_ count: Int, _ body: (Int) throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        let began = clock.now
        for index in 0..<count { try body(index) }
        let (seconds, attoseconds) = (clock.now - began).components
        return (Double(seconds) * 1e6 + Double(attoseconds) / 1e12) / Double(count)
    }

    private static func outbound() throws -> Double {
        let (alice, bob) = (OlmAccount(random: random), OlmAccount(random: random))
        let oneTimeKey = OlmAccount(random: random).curve25519Key
        return try time(count) { _ in
            _ = try alice.outboundSession(identityKey: bob.curve25519Key, oneTimeKey: oneTimeKey, random: random)
        }
    }

    private static func inbound() throws -> Double {
        let alice = OlmAccount(random: random)
        var bob = OlmAccount(random: random)
        bob.generateOneTimeKeys(count, random: random)
        let messages = try bob.unpublishedOneTimeKeys.map { key in
            var session = try alice.outboundSession(
                identityKey: bob.curve25519Key, oneTimeKey: key.publicKey, random: random)
            return try PreKeyMessage(session.encrypt(text, random: random).bytes)
        }
        return try time(count) { index in
            _ = try bob.inboundSession(identityKey: alice.curve25519Key, preKeyMessage: messages[index])
        }
    }

    /// Two sessions that know each other.
    private static func pair() throws -> (OlmSession, OlmSession) {
        let alice = OlmAccount(random: random)
        var bob = OlmAccount(random: random)
        bob.generateOneTimeKeys(1, random: random)
        var first = try alice.outboundSession(
            identityKey: bob.curve25519Key, oneTimeKey: bob.unpublishedOneTimeKeys[0].publicKey, random: random)
        var (second, _) = try bob.inboundSession(
            identityKey: alice.curve25519Key, preKeyMessage: PreKeyMessage(first.encrypt([], random: random).bytes))
        _ = try first.decrypt(second.encrypt([], random: random))
        _ = try second.decrypt(first.encrypt([], random: random))
        return (first, second)
    }

    private static func olmEncrypt() throws -> Double {
        var (alice, _) = try pair()
        return try time(count) { _ in _ = try alice.encrypt(text, random: random) }
    }

    private static func olmDecrypt() throws -> Double {
        var (alice, bob) = try pair()
        let messages = try (0..<count).map { _ in try alice.encrypt(text, random: random) }
        return try time(count) { index in _ = try bob.decrypt(messages[index]) }
    }

    private static func pingPong() throws -> Double {
        var (alice, bob) = try pair()
        return try time(count) { _ in
            _ = try bob.decrypt(alice.encrypt(text, random: random))
            swap(&alice, &bob)
        }
    }

    private static func megolmEncrypt() throws -> Double {
        var session = OutboundGroupSession(random: random)
        return try time(count) { _ in _ = try session.encrypt(text) }
    }

    private static func megolmDecrypt() throws -> Double {
        var session = OutboundGroupSession(random: random)
        var inbound = session.inbound
        let messages = try (0..<count).map { _ in try MegolmMessage(session.encrypt(text)) }
        return try time(count) { index in _ = try inbound.decrypt(messages[index]) }
    }

    /// A key at index 0, and what reads from index 100,000 on made of it.
    private static func megolmSkip() throws -> Double {
        let inbound = OutboundGroupSession(random: random).inbound
        return try time(count) { _ in _ = try inbound.exportedKey(at: 100_000) }
    }
}
