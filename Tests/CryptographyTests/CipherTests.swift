import Cryptography
import Testing

@Suite("ciphers") struct CipherTests {
    let key = Hex.decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4") ?? []
    let block = Hex.decode("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51") ?? []

    @Test func `AES-256-CBC gives SP 800-38A's value before its padding`() throws {
        let iv = [UInt8](0...15)
        let sealed = try AES256CBC.encrypt(block, key: key, iv: iv)
        #expect(sealed.count == 48)
        #expect(
            Hex.encode(sealed.prefix(32)) == "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d")
        #expect(try AES256CBC.decrypt(sealed, key: key, iv: iv) == block)
        #expect(try AES256CBC.decrypt(([9] + sealed).dropFirst(), key: key, iv: iv) == block)
    }

    @Test func `AES-256-CBC refuses bad padding, lengths and keys`() throws {
        let iv = [UInt8](0...15)
        let empty = try AES256CBC.encrypt([], key: key, iv: iv)
        #expect(empty.count == 16)
        #expect(try AES256CBC.decrypt(empty, key: key, iv: iv) == [])
        for bad in [[], Array(empty.dropLast()), empty + [0]] {
            #expect(throws: CryptographyError.decryptionFailed) { try AES256CBC.decrypt(bad, key: key, iv: iv) }
        }
        var broken = try AES256CBC.encrypt(block, key: key, iv: iv)
        broken[31] ^= 0xff
        #expect(throws: CryptographyError.decryptionFailed) { try AES256CBC.decrypt(broken, key: key, iv: iv) }
        #expect(throws: CryptographyError.wrongLength(expected: 32, found: 31)) {
            try AES256CBC.encrypt(block, key: Array(key.dropLast()), iv: iv)
        }
        #expect(throws: CryptographyError.wrongLength(expected: 16, found: 15)) {
            try AES256CBC.encrypt(block, key: key, iv: Array(iv.dropLast()))
        }
    }

    @Test func `AES-256-CTR gives SP 800-38A's value for whole and cut blocks`() throws {
        let iv = [UInt8](0xf0...0xff)
        let expected = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        #expect(Hex.encode(try AES256CTR.apply(key: key, iv: iv, to: block)) == expected)
        #expect(Hex.encode(try AES256CTR.apply(key: key, iv: iv, to: block.prefix(19))) == expected.prefix(38))
        #expect(try AES256CTR.apply(key: key, iv: iv, to: [UInt8]()) == [])
    }

    @Test func `XChaCha20-Poly1305 gives the draft's value`() throws {
        struct Fixed: RandomSource {
            func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(0x40 + $0) } }
        }
        let plaintext = Array(
            ("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
                + "sunscreen would be it.").utf8)
        let data = try #require(Hex.decode("50515253c0c1c2c3c4c5c6c7"))
        let key = [UInt8](0x80...0x9f)
        let sealed = try XChaCha20Poly1305.seal(plaintext, key: key, additionalData: data, random: Fixed())
        #expect(
            Hex.encode(sealed.dropFirst(24).prefix(32))
                == "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb")
        #expect(Hex.encode(sealed.suffix(16)) == "c0875924c1c7987947deafd8780acf49")
        #expect(try XChaCha20Poly1305.open(sealed, key: key, additionalData: data) == plaintext)
    }

    @Test func `XChaCha20-Poly1305 refuses any altered byte, other data and cut text`() throws {
        let key = [UInt8](repeating: 1, count: 32)
        let sealed = try XChaCha20Poly1305.seal([1, 2, 3], key: key, random: SystemRandomSource())
        for index in sealed.indices {
            var altered = sealed
            altered[index] ^= 1
            #expect(throws: CryptographyError.decryptionFailed) { try XChaCha20Poly1305.open(altered, key: key) }
        }
        #expect(throws: CryptographyError.decryptionFailed) {
            try XChaCha20Poly1305.open(sealed, key: key, additionalData: [0])
        }
        for count in [0, 1, 24, 39] {
            #expect(throws: CryptographyError.decryptionFailed) {
                try XChaCha20Poly1305.open(Array(sealed.prefix(count)), key: key)
            }
        }
    }
}
