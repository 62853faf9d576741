import Cryptography
import Testing

@Suite("hashes and codes") struct HashTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `SHA-256 gives FIPS 180-4's values, whole, sliced or in pieces`(text: String, hash: String) {
        let bytes = Array(text.utf8)
        #expect(Hex.encode(SHA256.hash(bytes)) == hash)
        #expect(Hex.encode(SHA256.hash(([0] + bytes).dropFirst())) == hash)
        var stream = SHA256.Stream()
        for byte in bytes { stream.update([byte]) }
        #expect(Hex.encode(stream.finish()) == hash)
    }

    @Test func `SHA-1 gives FIPS 180-4's value`() {
        #expect(Hex.encode(SHA1.hash(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    }

    @Test func `HMAC-SHA-256 gives RFC 4231's values for short and long keys`() {
        #expect(
            Hex.encode(HMACSHA256.authenticate(Array("Hi There".utf8), key: [UInt8](repeating: 0x0b, count: 20)))
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        let message = Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
        let key = [UInt8](repeating: 0xaa, count: 131)
        let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        #expect(Hex.encode(HMACSHA256.authenticate(message, key: key)) == expected)
        #expect(Hex.encode(HMACSHA256.authenticate(([1] + message).dropFirst(), key: key)) == expected)
    }

    @Test func `HMAC-SHA-1 gives the known value`() {
        let message = Array("The quick brown fox jumps over the lazy dog".utf8)
        #expect(
            Hex.encode(HMACSHA1.authenticate(message, key: Array("key".utf8)))
                == "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9")
    }

    @Test func `HKDF-SHA-256 gives RFC 5869's values with and without salt`() {
        let input = [UInt8](repeating: 0x0b, count: 22)
        #expect(
            Hex.encode(
                HKDFSHA256.derive(input: input, salt: Array(0...12), info: Array(0xf0...0xf9), count: 42))
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        #expect(
            Hex.encode(HKDFSHA256.derive(input: input, salt: [], info: [], count: 42))
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    }

    @Test func `PBKDF2-HMAC-SHA-512 gives the known value and refuses no rounds`() throws {
        let derived = try PBKDF2SHA512.derive(
            password: Array("password".utf8), salt: Array("salt".utf8), rounds: 4096, count: 64)
        #expect(
            Hex.encode(derived)
                == "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5"
                + "143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5")
        #expect(throws: CryptographyError.outOfRange) {
            try PBKDF2SHA512.derive(password: [1], salt: [1], rounds: 0, count: 64)
        }
    }
}
