import Cryptography
import MatrixModel
import Testing

@testable import Ratchet

/// Pickles that vodozemac and libolm wrote, from spec/vectors.
@Suite("pickles of other libraries") struct MigrationTests {
    /// One library's pickles, and how ours are read of them.
    struct Library: CustomStringConvertible {
        let value: JSONValue
        let key: [UInt8]
        var description: String { value["library"]?.string ?? "" }
        var isLibolm: Bool { description.hasPrefix("libolm") }

        func account(_ pickle: String, _ key: [UInt8]) throws -> OlmAccount {
            isLibolm
                ? try OlmAccount(libolmPickle: pickle, key: key) : try OlmAccount(vodozemacPickle: pickle, key: key)
        }
        func session(_ pickle: String, _ key: [UInt8]) throws -> OlmSession {
            isLibolm
                ? try OlmSession(libolmPickle: pickle, key: key) : try OlmSession(vodozemacPickle: pickle, key: key)
        }
        func group(_ pickle: String, _ key: [UInt8]) throws -> OutboundGroupSession {
            isLibolm
                ? try OutboundGroupSession(libolmPickle: pickle, key: key)
                : try OutboundGroupSession(vodozemacPickle: pickle, key: key)
        }
        func inbound(_ pickle: String, _ key: [UInt8]) throws -> InboundGroupSession {
            isLibolm
                ? try InboundGroupSession(libolmPickle: pickle, key: key)
                : try InboundGroupSession(vodozemacPickle: pickle, key: key)
        }
        func part(_ name: String) throws -> JSONValue { try #require(value[name]) }
    }

    let libraries: [Library]

    init() throws {
        libraries = try #require(Vectors.read("pickles/pickles.json").array).map { value in
            Library(value: value, key: try value.base64("key"))
        }
        #expect(libraries.count == 2)
    }

    @Test func `an account keeps its keys, what is published and what not`() throws {
        for library in libraries {
            let part = try library.part("account")
            var account = try library.account(part.text("pickle"), library.key)
            #expect(account.curve25519Key.bytes == (try part.base64("curve25519")))
            #expect(account.ed25519Key.bytes == (try part.base64("ed25519")))
            #expect(account.sign(Array("signed".utf8)) == (try part.base64("signature")))
            let unpublished = try part.elements("unpublished").compactMap(\.string)
            #expect(account.unpublishedOneTimeKeys.map { Base64.encode($0.publicKey.bytes) }.sorted() == unpublished)
            let fallback = account.unpublishedFallbackKey.map { Base64.encode($0.publicKey.bytes) }
            #expect(fallback == part["fallback"]?.string)
            #expect(account.oneTimeKeyCount == 5)

            // What others began with its keys is read: with a one-time key, a replaced and a present fallback key.
            let sender = try Curve25519.PublicKey(part.base64("sender"))
            for (number, message) in try part.elements("first").enumerated() {
                let bytes = try #require(message.string.flatMap { Base64.decode($0) })
                let (_, plaintext) = try account.inboundSession(
                    identityKey: sender, preKeyMessage: PreKeyMessage(bytes))
                #expect(plaintext == Array("first \(number)".utf8))
            }

            // New keys get names of their own, and nothing published is published again.
            let names = Set(account.unpublishedOneTimeKeys.map(\.id))
            account.markPublished()
            #expect(account.unpublishedOneTimeKeys.isEmpty && account.unpublishedFallbackKey == nil)
            account.generateOneTimeKeys(3, random: random)
            account.generateFallbackKey(random: random)
            #expect(names.isDisjoint(with: account.unpublishedOneTimeKeys.map(\.id)))
            #expect(account.unpublishedOneTimeKeys.count == 3 && account.unpublishedFallbackKey != nil)

            // In a pickle of ours it signs as before: libolm's came without a seed.
            let key = random.bytes(32)
            let copy = try OlmAccount(pickle: account.pickle(key: key, random: random), key: key)
            #expect(copy.sign([1]) == account.sign([1]))
            #expect(copy.ed25519SigningKey.isExpandedOnly == library.isLibolm)
        }
    }

    @Test func `sessions go on where they were, with their skipped keys`() throws {
        for library in libraries {
            var reading = try library.session(library.part("reading").text("pickle"), library.key)
            #expect(reading.id == (try library.part("reading").text("session_id")))
            for (number, message) in try library.part("reading").elements("late").enumerated() {
                let bytes = try #require(message.string.flatMap { Base64.decode($0) })
                #expect(
                    try reading.decrypt(OlmMessage(type: .normal, bytes: bytes)) == Array("late \(number)".utf8))
                #expect(throws: RatchetError.messageKeyGone) {
                    try reading.decrypt(OlmMessage(type: .normal, bytes: bytes))
                }
            }
            var sending = try library.session(library.part("sending").text("pickle"), library.key)
            let answer = try library.part("sending").base64("answer")
            #expect(
                try sending.decrypt(OlmMessage(type: .normal, bytes: answer)) == Array("answer to a waiting one".utf8))
            var again = try library.session(library.part("sending").text("pickle"), library.key)
            #expect(try again.decrypt(reading.encrypt([7], random: random)) == [7])
            #expect(try reading.decrypt(again.encrypt([8], random: random)) == [8])
            // One that nobody answered yet still sends what begins it.
            var waiting = try library.session(library.part("waiting").text("pickle"), library.key)
            #expect(waiting.id == (try library.part("waiting").text("session_id")))
            let message = try waiting.encrypt([8], random: random)
            #expect(message.type == .preKey)
            #expect(waiting.matches(try PreKeyMessage(message.bytes)))
        }
    }

    @Test func `group sessions go on where they were`() throws {
        for library in libraries {
            var group = try library.group(library.part("group").text("pickle"), library.key)
            #expect(group.id == (try library.part("group").text("session_id")))
            #expect(group.messageIndex == 3)
            var inbound = try library.inbound(library.part("inbound").text("pickle"), library.key)
            #expect(inbound.isSigned)
            for (number, message) in try library.part("inbound").elements("messages").enumerated() {
                let bytes = try #require(message.string.flatMap { Base64.decode($0) })
                #expect(try inbound.decrypt(bytes).plaintext == Array("group \(number)".utf8))
            }
            #expect(try inbound.decrypt(group.encrypt([9])).index == 3)
            let key = random.bytes(32)
            var copy = try OutboundGroupSession(pickle: group.pickle(key: key, random: random), key: key)
            #expect(try inbound.decrypt(copy.encrypt([9])).index == 4)
        }
    }

    @Test func `another key, another kind, an altered byte and a cut are refused`() throws {
        for library in libraries {
            let pickle = try library.part("group").text("pickle")
            #expect(throws: RatchetError.wrongMAC) { _ = try library.group(pickle, random.bytes(32)) }
            #expect(throws: RatchetError.self) { _ = try library.inbound(pickle, library.key) }
            #expect(throws: RatchetError.self) { _ = try library.account(pickle, library.key) }
            #expect(throws: RatchetError.self) { _ = try library.session(pickle, library.key) }
            let bytes = try #require(Base64.decode(pickle))
            for index in stride(from: 0, to: bytes.count, by: 3) {
                var altered = bytes
                altered[index] ^= 1
                #expect(throws: RatchetError.wrongMAC) { _ = try library.group(Base64.encode(altered), library.key) }
                #expect(throws: RatchetError.self) {
                    _ = try library.group(Base64.encode(bytes.prefix(index)), library.key)
                }
            }
            #expect(throws: RatchetError.self) { _ = try library.group("é", library.key) }
            let long = String(repeating: "A", count: (8 << 20) + 4)
            #expect(throws: RatchetError.malformed(rule: "a pickle has at most 8 MiB")) {
                _ = try library.group(long, library.key)
            }
        }
    }

    /// Seals as the libraries do.
    static func sealed(_ plaintext: [UInt8], key: [UInt8]) throws -> String {
        let keys = CipherKeys(secret: key, info: CipherPurpose.pickle)
        let ciphertext = try keys.encrypt(plaintext)
        return Base64.encode(ciphertext + keys.mac(over: ciphertext))
    }

    @Test func `JSON that vodozemac does not write is refused`() throws {
        let key = random.bytes(32)
        let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
        for text in [
            "", "{", "{}", "[]", "null", "{\"ratchet\":{\"inner\":[1],\"counter\":0}}", "{\"a\":1,\"a\":2}", deep,
            "{\"a\":18446744073709551616}", "{\"a\":1.5}", "{\"a\":-1}", "{} ", "{\"a\\u0041\":1}", "tru", "{\"a\" :1}",
            "{\"a\":[256]}", "\"\u{e9}\"", "{\"a\":1,}", "[1 2]",
        ] {
            let pickle = try Self.sealed(Array(text.utf8), key: key)
            #expect(throws: RatchetError.self) { try OutboundGroupSession(vodozemacPickle: pickle, key: key) }
            #expect(throws: RatchetError.self) { try OlmAccount(vodozemacPickle: pickle, key: key) }
            #expect(throws: RatchetError.self) { try OlmSession(vodozemacPickle: pickle, key: key) }
            #expect(throws: RatchetError.self) { try InboundGroupSession(vodozemacPickle: pickle, key: key) }
        }
        let body = SecretBytes(Array("{\"a\":[1,2],\"b\":{\"7\":true,\"3\":null},\"c\":\"V1\"}".utf8), placement: .heap)
        let json = try PickleJSON(body)
        #expect(try json["a"].secret(2).bytes == [1, 2])
        #expect(try json["b"].numbered(upTo: 2).map(\.number).sorted() == [3, 7])
        #expect(throws: RatchetError.self) { try json["b"].numbered(upTo: 1) }
        #expect(throws: RatchetError.self) { try json["a"].secret(3) }
        #expect(try json["c"].text == "V1")
        #expect(json["d"].isNull)
    }

    @Test func `libolm's older accounts are read, and layouts it never had refused`() throws {
        let key: [UInt8] = [1]
        let (identity, oneTime) = (Curve25519.PrivateKey.generate(random), Curve25519.PrivateKey.generate(random))
        let expanded = try #require(
            Hex.decode(
                "909a8b755ed902849023a55b15c23d11ba4d7f4ec5c2f51b1325a181991ea95c"
                    + "6608c8666b9cde2325f539d7d83386fe8187c6be61d8a70c247190d64edf5f1e"))
        let signing = try Ed25519.SigningKey(expanded: expanded)
        func entry(_ number: UInt8, _ isPublished: Bool, _ key: Curve25519.PrivateKey?) -> [UInt8] {
            let zeros = [UInt8](repeating: 0, count: 32)
            return [0, 0, 0, number, isPublished ? 1 : 0] + (key?.publicKey.bytes ?? zeros) + (key?.bytes ?? zeros)
        }
        func pickle(_ version: UInt8, _ fallbacks: [UInt8], keys: [UInt8]? = nil, tail: [UInt8] = []) throws -> String {
            let oneTimeKeys = keys ?? [0, 0, 0, 1] + entry(4, true, oneTime)
            let start = [0, 0, 0, version] + signing.publicKey.bytes + expanded
            let middle = identity.publicKey.bytes + identity.bytes + oneTimeKeys
            return try Self.sealed(start + middle + fallbacks + [0, 0, 0, 9] + tail, key: key)
        }
        let (present, before) = (Curve25519.PrivateKey.generate(random), Curve25519.PrivateKey.generate(random))
        let second = try OlmAccount(libolmPickle: pickle(2, []), key: key)
        #expect(second.oneTimeKeyCount == 1 && second.fallback == nil && second.nextNumber == 10)
        let third = try OlmAccount(libolmPickle: pickle(3, entry(5, true, present) + entry(6, true, before)), key: key)
        #expect(third.fallback?.publicKey == present.publicKey)
        #expect(third.previousFallback?.publicKey == before.publicKey)
        let once = try OlmAccount(libolmPickle: pickle(3, entry(5, true, present) + entry(0, false, nil)), key: key)
        #expect(once.fallback?.publicKey == present.publicKey && once.previousFallback == nil)
        let none = try OlmAccount(libolmPickle: pickle(3, entry(0, false, nil) + entry(0, false, nil)), key: key)
        #expect(none.fallback == nil && none.previousFallback == nil)
        let fourth = try OlmAccount(libolmPickle: pickle(4, [1] + entry(5, false, present)), key: key)
        #expect(fourth.unpublishedFallbackKey?.publicKey == present.publicKey)
        // Whatever the number says, there are two.
        let three = try OlmAccount(
            libolmPickle: pickle(4, [3] + entry(5, false, present) + entry(6, true, before)), key: key)
        #expect(three.fallback?.publicKey == present.publicKey)
        #expect(three.previousFallback?.publicKey == before.publicKey)
        for (version, fallbacks) in [(1, []), (5, [0])] as [(UInt8, [UInt8])] {
            #expect(throws: RatchetError.unsupportedVersion(version)) {
                try OlmAccount(libolmPickle: pickle(version, fallbacks), key: key)
            }
        }
        let tooMany: [UInt8] = [0, 0, 0x13, 0x89]
        let foreignHalf = [0, 0, 0, 0] as [UInt8]
        for broken in [
            try pickle(4, [0], tail: [0]), try pickle(4, [1]), try pickle(4, [0], keys: tooMany),
            try pickle(4, [0], keys: [0, 0, 0, 1, 0, 0, 0, 1, 2]), try pickle(2, [9], keys: foreignHalf),
        ] {
            #expect(throws: RatchetError.self) { try OlmAccount(libolmPickle: broken, key: key) }
        }
    }

    private func key(_ number: UInt64, _ isPublished: Bool) -> OlmAccount.ImportedKey {
        OlmAccount.ImportedKey(number: number, isPublished: isPublished, secret: .generate(random))
    }

    @Test func `an unpublished key keeps its number unless a published one has it, or a higher one`() {
        func account(_ keys: [OlmAccount.ImportedKey], nextNumber: UInt64) -> OlmAccount {
            OlmAccount(
                imported: keys, fallbacks: [], nextNumber: nextNumber, signingKey: .generate(random),
                identitySecret: .generate(random))
        }
        let alone = account([key(1, false)], nextNumber: 2)
        #expect(alone.unpublishedOneTimeKeys.map(\.number) == [1])
        #expect(alone.nextNumber == 2)
        let first = account([key(0, false)], nextNumber: 1)
        #expect(first.unpublishedOneTimeKeys.map(\.number) == [1], "0 counts as published")
        #expect(first.nextNumber == 2)
        let keys = [key(5, true), key(5, false)]
        let both = account(keys, nextNumber: 6)
        #expect(both.unpublishedOneTimeKeys.map(\.number) == [6])
        #expect(both.unpublishedOneTimeKeys.map(\.publicKey) == [keys[1].secret.publicKey])
        #expect((both.oneTimeKeyCount, both.nextNumber) == (2, 7))
    }

    @Test func `unpublished keys before published ones get new numbers, so that none is published twice`() {
        let keys = [key(5, true), key(2, false), key(7, false), key(1, true)]
        let account = OlmAccount(
            imported: keys, fallbacks: [key(3, true), key(2, true)], nextNumber: 4, signingKey: .generate(random),
            identitySecret: .generate(random))
        let unpublished = account.unpublishedOneTimeKeys
        #expect(unpublished.map(\.number) == [7, 8])
        #expect(unpublished.map(\.publicKey) == [keys[2].secret.publicKey, keys[1].secret.publicKey])
        #expect(account.unpublishedFallbackKey == nil)
        #expect(account.oneTimeKeyCount == 4)
        #expect(account.nextNumber == 9)
    }
}
