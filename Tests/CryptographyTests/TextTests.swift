import Cryptography
import Testing

@Suite("bytes as text") struct TextTests {
    @Test(arguments: [
        ("", "", ""), ("f", "Zg", "Zg=="), ("fo", "Zm8", "Zm8="), ("foo", "Zm9v", "Zm9v"),
        ("foob", "Zm9vYg", "Zm9vYg=="),
        ("fooba", "Zm9vYmE", "Zm9vYmE="), ("foobar", "Zm9vYmFy", "Zm9vYmFy"),
    ])
    func `base64 is RFC 4648's, and read with or without padding`(text: String, unpadded: String, padded: String) {
        let bytes = Array(text.utf8)
        #expect(Base64.encode(bytes) == unpadded)
        #expect(Base64.encode(bytes, .standard) == padded)
        for encoded in [unpadded, padded] {
            #expect(Base64.decode(encoded) == bytes)
            #expect(Base64.decode(encoded, strict: true) == bytes)
        }
    }

    @Test func `both alphabets are read and each is written`() throws {
        let bytes = try #require(Hex.decode("74686973ff6973ff61ff74657374"))
        #expect(Base64.encode(bytes, .standardUnpadded) == "dGhpc/9pc/9h/3Rlc3Q")
        #expect(Base64.encode(bytes, .urlSafeUnpadded) == "dGhpc_9pc_9h_3Rlc3Q")
        #expect(Base64.encode(bytes, .urlSafe) == "dGhpc_9pc_9h_3Rlc3Q=")
        #expect(Base64.decode("dGhpc/9pc_9h/3Rlc3Q") == bytes)
        #expect(Base64.decode("dGhpc/9pc_9h/3Rlc3Q", strict: true) == nil)
    }

    @Test(arguments: ["A", "AAAAA", "Zg===", "Z=g", "Zm 9v", "Zm9v\n", "Zm9vé", "=", "A=="])
    func `what is not base64 gives nothing`(text: String) {
        #expect(Base64.decode(text) == nil || text == "=")
        #expect(Base64.decode(text, strict: true) == nil)
    }

    @Test func `unused trailing bits are ignored unless strict`() {
        let text = String(repeating: "A", count: 42) + "Z"
        #expect(Base64.decode(text)?.count == 32)
        #expect(Base64.decode(text, strict: true) == nil)
    }

    @Test func `every length comes back from base64 and hex`() {
        let random = SystemRandomSource()
        for count in 0..<100 {
            let bytes = random.bytes(count)
            #expect(bytes.count == count)
            #expect(Base64.decode(Base64.encode(bytes, .urlSafe)) == bytes)
            #expect(Hex.decode(Hex.encode(bytes)) == bytes)
            #expect(random.token(count).utf8.count == count)
        }
        #expect(Hex.decode("0") == nil)
        #expect(Hex.decode("0g") == nil)
    }

    @Test func `constant-time comparison sees every byte and the length`() {
        #expect(constantTimeEquals([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEquals([1, 2, 3], [1, 2]))
        #expect(constantTimeEquals([UInt8](), [UInt8]()))
    }
}
