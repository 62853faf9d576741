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

    @Test func `a key of low order is refused`() throws {
        let zero = try Curve25519.PublicKey([UInt8](repeating: 0, count: 32))
        #expect(throws: RatchetError.refusedKey) { try SAS(random: random).established(with: zero) }
    }
}
