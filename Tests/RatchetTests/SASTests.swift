import Cryptography
import MatrixModel
import Testing

@testable import Ratchet

@Suite("short authentication strings") struct SASTests {
    @Test func `bytes become the published emoji and numbers`() throws {
        let vectors = try Vectors.read("sas/sas.json")
        for vector in try vectors.elements("bytes_to_emoji") {
            let expected = try vector.elements("indices").compactMap(\.integer)
            #expect(try SASCode(vector.hex("hex")).emojiNumbers.map(Int64.init) == expected)
        }
        for vector in try vectors.elements("bytes_to_decimal") {
            let expected = try vector.elements("numbers").compactMap(\.integer)
            #expect(try SASCode(vector.hex("hex")).decimals.map(Int64.init) == expected)
        }
        let emoji = try vectors.elements("emoji")
        #expect(SASEmoji.all.count == 64)
        for (ours, theirs) in zip(SASEmoji.all, emoji) {
            #expect(ours.symbol == theirs["emoji"]?.string)
            #expect(ours.name == theirs["description"]?.string)
        }
        // Each bit lands in its own place: 0b000001 000010 … and 13 bits each.
        #expect(SASCode([0x04, 0x20, 0xc4, 0x14, 0x61, 0xc0]).emojiNumbers == [1, 2, 3, 4, 5, 6, 7])
        #expect(SASCode([0x00, 0x08, 0x00, 0x80, 0x06, 0x00]).decimals == [1001, 1002, 1003])
        #expect(SASCode([0x04]) == SASCode([0x04, 0, 0, 0, 0, 0]))
    }

    @Test func `both sides see the same, and another info gives another code`() throws {
        let (alice, bob) = (SAS(random: random), SAS(random: random))
        let ours = try alice.established(with: bob.publicKey)
        let theirs = try bob.established(with: alice.publicKey)
        #expect(ours.code(info: "a") == theirs.code(info: "a"))
        #expect(ours.code(info: "a") != theirs.code(info: "b"))
        let mac = ours.mac(of: "key", info: "i")
        #expect(mac.utf8.count == 43)
        #expect(theirs.verify(mac, of: "key", info: "i"))
        #expect(!theirs.verify(mac, of: "key", info: "j"))
        #expect(!theirs.verify("", of: "key", info: "i"))
        #expect(ours.legacyMAC(of: "key", info: "i") == theirs.legacyMAC(of: "key", info: "i"))
        #expect(ours.legacyMAC(of: "key", info: "i") != mac)
    }

    @Test func `codes are those of libolm, also in its wrong base64`() throws {
        // The keys of RFC 7748, section 6.1; the message, the info and the deprecated code of libolm's own test.
        let secret = try #require(Hex.decode("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
        let other = try #require(Base64.decode("3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08"))
        let sas = try SAS(secret: Curve25519.PrivateKey(secret)).established(with: Curve25519.PublicKey(other))
        #expect(sas.mac(of: "Hello world!", info: "MAC") == "2nSMU3M+FMBTCWQg5IoIUoEErFZOjniAZTdqNhf+Dmo")
        #expect(sas.legacyMAC(of: "Hello world!", info: "MAC") == "2nSMTXM+TStTU3RUVTNSVVZUTlNWVlpVVGxOV1ZscFY")
        #expect(sas.code(info: "SAS") == SASCode([0x39, 0x87, 0xa8, 0x72, 0xe7, 0xb9]))
    }

    @Test func `a key of low order is refused`() throws {
        let zero = try Curve25519.PublicKey([UInt8](repeating: 0, count: 32))
        #expect(throws: RatchetError.refusedKey) { try SAS(random: random).established(with: zero) }
    }
}
