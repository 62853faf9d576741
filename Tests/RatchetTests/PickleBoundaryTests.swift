import Cryptography
import Testing

@testable import Ratchet

/// Sealed pickles whose insides are wrong in one thing each.
@Suite("pickles at their boundaries") struct PickleBoundaryTests {
    private let key = [UInt8](repeating: 5, count: 32)
    private let malformed = RatchetError.malformed(rule: "a pickle is as we wrote it")

    /// The inside of a pickle of ours, changed, and its version and kind, if they are given.
    private func changed(
        _ pickle: [UInt8], header: [UInt8]? = nil, _ change: (inout [UInt8]) -> Void
    ) throws -> [UInt8] {
        let own = Array(pickle.prefix(2))
        var body = try XChaCha20Poly1305.open(Array(pickle.dropFirst(2)), key: key, additionalData: own)
        change(&body)
        let header = header ?? own
        return header + (try XChaCha20Poly1305.seal(body, key: key, additionalData: header, random: random))
    }

    @Test func `nothing may follow, nothing may be missing, and no other kind is read`() throws {
        let account = try OlmAccount(random: random).pickle(key: key, random: random)
        let session = try OlmPair.acquainted().alice.pickle(key: key, random: random)
        let outbound = OutboundGroupSession(random: random)
        let group = try outbound.pickle(key: key, random: random)
        let inbound = try outbound.inbound.pickle(key: key, random: random)
        let readers: [([UInt8], ([UInt8]) throws -> Void)] = [
            (account, { _ = try OlmAccount(pickle: $0, key: key) }),
            (session, { _ = try OlmSession(pickle: $0, key: key) }),
            (group, { _ = try OutboundGroupSession(pickle: $0, key: key) }),
            (inbound, { _ = try InboundGroupSession(pickle: $0, key: key) }),
        ]
        for (number, (pickle, read)) in readers.enumerated() {
            try read(pickle)
            #expect(throws: malformed) { try read(changed(pickle) { $0.append(0) }) }
            #expect(throws: malformed) { try read(changed(pickle) { $0.removeLast() }) }
            #expect(throws: malformed) { try read(changed(pickle) { $0 = [] }) }
            for (other, (foreign, _)) in readers.enumerated() where other != number {
                #expect(throws: malformed) { try read(foreign) }
            }
            #expect(throws: malformed) { try read([2]) }
            #expect(throws: malformed) { try read(Array(pickle.prefix(2)) + [UInt8](repeating: 0, count: 1 << 20)) }
            #expect(throws: RatchetError.cannotOpen) {
                try read(Array(pickle.prefix(2)) + [UInt8](repeating: 0, count: (1 << 20) - 2))
            }
            #expect(throws: RatchetError.cannotOpen) { try read(Array(pickle.prefix(2))) }
        }
    }

    @Test func `what is sealed as another kind is not read, though it is laid out alike`() throws {
        let pickle = try OutboundGroupSession(random: random).pickle(key: key, random: random)
        let kind = PickleKind.inboundGroupSession.rawValue
        let renamed = try changed(pickle, header: [2, kind]) { _ in }
        #expect(throws: malformed) { try OutboundGroupSession(pickle: renamed, key: key) }
    }

    @Test func `version 1 had seeds only, and is still read`() throws {
        let account = OlmAccount(random: random)
        // Its first byte says what kind of signing key follows.
        let old = try changed(
            account.pickle(key: key, random: random), header: [1, PickleKind.account.rawValue]
        ) { $0.removeFirst() }
        #expect(try OlmAccount(pickle: old, key: key).sign([1]) == account.sign([1]))
        let group = OutboundGroupSession(random: random, form: .full)
        // That byte follows the index and the ratchet; the form is the last.
        let oldGroup = try changed(
            group.pickle(key: key, random: random), header: [1, PickleKind.outboundGroupSession.rawValue]
        ) {
            $0.remove(at: 8 + MegolmRatchet.size)
            $0.removeLast()
        }
        let read = try OutboundGroupSession(pickle: oldGroup, key: key)
        #expect(read.sessionKey == group.sessionKey && read.form == .truncated)
    }

    @Test func `a session's pickle holds no more chains and skipped keys than a session`() throws {
        let (alice, secret) = (try OlmPair.acquainted().alice, SecretBytes(key, placement: .pooled))
        func session(chains: Int, skipped: Int) -> OlmSession {
            let chain = ReceiverChain(
                ratchetKey: alice.keys.baseKey, chain: ChainKey(secret, index: 99),
                skipped: (0..<skipped).map { ReceiverChain.SkippedKey(index: UInt64($0), key: secret) })
            return OlmSession(
                keys: alice.keys, turn: alice.turn, receiving: Array(repeating: chain, count: chains), form: alice.form)
        }
        let full = session(chains: 5, skipped: 40)
        #expect(try OlmSession(pickle: full.pickle(key: key, random: random), key: key) == full)
        for more in [session(chains: 6, skipped: 40), session(chains: 5, skipped: 41)] {
            let pickle = try more.pickle(key: key, random: random)
            #expect(throws: malformed) { try OlmSession(pickle: pickle, key: key) }
        }
    }

    @Test func `an account's numbers have an end`() throws {
        let pickle = try OlmAccount(random: random).pickle(key: key, random: random)
        // After kind and seed of the signing key and the identity secret: the next number, eight bytes; then the mark, the count.
        func with(_ start: Int, _ value: UInt64) throws -> OlmAccount {
            let bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(56 - $0 * 8)) }
            return try OlmAccount(
                pickle: changed(pickle) { $0.replaceSubrange(start..<(start + 8), with: bytes) }, key: key)
        }
        #expect(try with(65, UInt64(Int64.max) - 1).nextNumber == UInt64(Int64.max) - 1)
        #expect(throws: malformed) { try with(65, UInt64(Int64.max)) }
        #expect(throws: malformed) { try with(81, 5001) }
        #expect(throws: malformed) { try with(81, UInt64.max) }
    }

    @Test func `what a group session is comes back with it`() throws {
        var session = OutboundGroupSession(
            ratchet: try MegolmRatchet(bytes: random.bytes(128), index: .max), signingKey: .generate(random),
            isExhausted: false)
        #expect(try !OutboundGroupSession(pickle: session.pickle(key: key, random: random), key: key).isExhausted)
        _ = try session.encrypt([])
        var used = try OutboundGroupSession(pickle: session.pickle(key: key, random: random), key: key)
        #expect(throws: RatchetError.exhausted) { try used.encrypt([]) }
        let exported = try InboundGroupSession(exportedKey: session.inbound.exportedKey)
        #expect(!exported.isSigned)
        #expect(try !InboundGroupSession(pickle: exported.pickle(key: key, random: random), key: key).isSigned)
        #expect(try InboundGroupSession(pickle: session.inbound.pickle(key: key, random: random), key: key).isSigned)
    }

    @Test func `a dehydrated device needs a seed, and may be without a fallback key`() throws {
        let secret = SecretBytes(key, placement: .pooled)
        let plain = OlmAccount(random: random)
        let awake = try DehydratedDevice(plain, key: secret, random: random).account(key: secret)
        #expect(awake.fallback == nil && awake.oneTimeKeyCount == 0)
        var expanded = random.bytes(64)
        expanded[0] &= 248
        expanded[31] = expanded[31] & 127 | 64
        let account = OlmAccount(
            signingKey: try .init(expanded: expanded), identitySecret: .generate(random), nextNumber: 1,
            oneTimeKeys: [],
            publishedBelow: 1, fallback: nil, previousFallback: nil)
        #expect(throws: RatchetError.refusedKey) { try DehydratedDevice(account, key: secret, random: random) }
    }

    @Test func `the seal of other libraries' pickles has a code and something under it`() {
        #expect(throws: RatchetError.malformed(rule: "a pickle has a code")) {
            try OlmAccount(libolmPickle: Base64.encode([UInt8](repeating: 1, count: 8)), key: key)
        }
        #expect(throws: RatchetError.wrongMAC) {
            try OlmAccount(libolmPickle: Base64.encode([UInt8](repeating: 1, count: 9)), key: key)
        }
        #expect(throws: RatchetError.wrongMAC) {
            try OlmAccount(libolmPickle: String(repeating: "A", count: 8 << 20), key: key)
        }
    }

    private func libolm(_ body: [UInt8]) throws -> String { try MigrationTests.sealed(body, key: key) }

    @Test func `libolm's group sessions are checked`() throws {
        let asLibolm = RatchetError.malformed(rule: "a pickle is as libolm wrote it")
        let ratchet = [UInt8](repeating: 7, count: 128)
        let (other, whole) = (Ed25519.SigningKey.generate(random), [UInt8](repeating: 1, count: 32))
        func inbound(_ version: UInt8, first: UInt8 = 2, latest: UInt8 = 2, tail: [UInt8]) throws -> InboundGroupSession
        {
            try InboundGroupSession(
                libolmPickle: libolm(
                    [0, 0, 0, version] + ratchet + [0, 0, 0, first] + ratchet + [0, 0, 0, latest] + whole + tail),
                key: key)
        }
        #expect(try inbound(1, tail: []).isSigned)
        #expect(try inbound(2, tail: [1]).isSigned)
        #expect(try !inbound(2, tail: [0]).isSigned)
        #expect(throws: asLibolm) { try inbound(2, tail: [2]) }
        #expect(throws: asLibolm) { try inbound(2, tail: [1, 0]) }
        #expect(throws: asLibolm) { try inbound(2, first: 3, tail: [1]) }
        for version in [0, 3] as [UInt8] {
            #expect(throws: RatchetError.unsupportedVersion(version)) { try inbound(version, tail: [1]) }
        }
        var expanded = random.bytes(64)
        expanded[0] &= 248
        expanded[31] = expanded[31] & 127 | 64
        let signing = try Ed25519.SigningKey(expanded: expanded)
        func outbound(_ version: UInt8, _ publicKey: [UInt8], tail: [UInt8] = []) throws -> OutboundGroupSession {
            try OutboundGroupSession(
                libolmPickle: libolm([0, 0, 0, version] + ratchet + [0, 0, 1, 2] + publicKey + expanded + tail),
                key: key)
        }
        #expect(try outbound(1, signing.publicKey.bytes).messageIndex == 258)
        #expect(throws: RatchetError.unsupportedVersion(2)) { try outbound(2, signing.publicKey.bytes) }
        #expect(throws: asLibolm) { try outbound(1, other.publicKey.bytes) }
        #expect(throws: asLibolm) { try outbound(1, signing.publicKey.bytes, tail: [0]) }
        #expect(throws: RatchetError.unsupportedVersion(9)) {
            try OutboundGroupSession(libolmPickle: libolm([0, 0, 0, 9]), key: key)
        }
        for short in [[], [0, 0, 0]] as [[UInt8]] {
            #expect(throws: asLibolm) { try OutboundGroupSession(libolmPickle: libolm(short), key: key) }
        }
    }

    @Test func `libolm's sessions are checked, and their skipped keys put in order`() throws {
        let asLibolm = RatchetError.malformed(rule: "a pickle is as libolm wrote it")
        let own = Curve25519.PrivateKey.generate(random)
        let (theirs, secret) = ([UInt8](repeating: 3, count: 32), [UInt8](repeating: 4, count: 32))
        func session(
            _ version: UInt8 = 1, sending: [UInt8], receiving: [UInt8], skipped: [UInt8] = [0, 0, 0, 0],
            tail: [UInt8] = []
        ) throws -> OlmSession {
            let start = [0, 0, 0, version, 1] + [UInt8](repeating: 9, count: 96) + secret
            return try OlmSession(libolmPickle: libolm(start + sending + receiving + skipped + tail), key: key)
        }
        let chain = theirs + secret + [0, 0, 0, 9] as [UInt8]
        let none: [UInt8] = [0, 0, 0, 0]
        let sending = [0, 0, 0, 1] + own.publicKey.bytes + own.bytes + secret + [0, 0, 0, 5]
        #expect(try session(sending: sending, receiving: none).hasReceived == false)
        let entry = { (index: UInt8) in theirs + secret + [0, 0, 0, index] as [UInt8] }
        let read = try session(
            sending: none, receiving: [0, 0, 0, 1] + chain, skipped: [0, 0, 0, 3] + entry(7) + entry(1) + entry(4))
        #expect(read.receiving[0].skipped.map(\.index) == [1, 4, 7])
        #expect(read.receiving[0].chain.index == 9)
        guard case .theirs(_, let remote) = read.turn else { throw RatchetError.wrongSession }
        #expect(remote.bytes == theirs)
        #expect(throws: asLibolm) { try session(sending: none, receiving: none) }
        #expect(throws: asLibolm) { try session(sending: sending, receiving: none, tail: [0]) }
        #expect(throws: RatchetError.unsupportedVersion(2)) { try session(2, sending: sending, receiving: none) }
        let twice = [0, 0, 0, 2] + sending.dropFirst(4) + sending.dropFirst(4)
        #expect(throws: asLibolm) { try session(sending: Array(twice), receiving: none) }
        let foreign = [0, 0, 0, 1] + theirs + own.bytes + secret + [0, 0, 0, 5]
        #expect(throws: asLibolm) { try session(sending: foreign, receiving: none) }
        let six: [UInt8] = [0, 0, 0, 6] + Array((0..<6).map { _ in chain }.joined())
        #expect(throws: asLibolm) { try session(sending: none, receiving: six) }
        let many: [UInt8] = [0, 0, 0, 41] + Array((0..<41).map { entry($0) }.joined())
        #expect(throws: asLibolm) { try session(sending: sending, receiving: none, skipped: many) }
    }
}
