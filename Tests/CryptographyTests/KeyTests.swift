import Cryptography
import Testing

@Suite("keys") struct KeyTests {
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
                + "d25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
                + "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ])
    func `Ed25519 signs as RFC 8032`(seed: String, publicKey: String, message: String, signature: String) throws {
        let key = try Ed25519.SigningKey(seed: try #require(Hex.decode(seed)))
        let message = try #require(Hex.decode(message))
        #expect(Hex.encode(key.seed) == seed)
        #expect(Hex.encode(key.publicKey.bytes) == publicKey)
        #expect(Hex.encode(key.sign(message)) == signature)
        #expect(key.publicKey.verifies(key.sign(message), of: message))
    }

    @Test func `Ed25519 verifies neither other bytes nor odd lengths nor low-order keys`() throws {
        let key = Ed25519.SigningKey.generate(SystemRandomSource())
        let signature = key.sign([1, 2, 3])
        #expect(!key.publicKey.verifies(signature, of: [1, 2]))
        #expect(!key.publicKey.verifies(Array(signature.dropLast()), of: [1, 2, 3]))
        #expect(!key.publicKey.verifies(signature + [0], of: [1, 2, 3]))
        #expect(!key.publicKey.verifies([UInt8](), of: [UInt8]()))
        for index in signature.indices {
            var altered = signature
            altered[index] ^= 4
            #expect(!key.publicKey.verifies(altered, of: [1, 2, 3]))
        }
        let zero = try Ed25519.PublicKey([UInt8](repeating: 0, count: 32))
        #expect(!zero.verifies([UInt8](repeating: 0, count: 64), of: [1]))
        #expect(throws: CryptographyError.wrongLength(expected: 32, found: 33)) {
            try Ed25519.PublicKey([UInt8](repeating: 0, count: 33))
        }
        #expect(throws: CryptographyError.wrongLength(expected: 32, found: 0)) { try Ed25519.SigningKey(seed: []) }
    }

    @Test func `X25519 agrees as RFC 7748`() throws {
        let alice = try Curve25519.PrivateKey(
            try #require(Hex.decode("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")))
        let bob = try Curve25519.PrivateKey(
            try #require(Hex.decode("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")))
        let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
        #expect(
            Hex.encode(alice.publicKey.bytes) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        #expect(Hex.encode(try alice.sharedSecret(with: bob.publicKey)) == shared)
        #expect(Hex.encode(try bob.sharedSecret(with: alice.publicKey)) == shared)
    }

    @Test(arguments: [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    ])
    func `X25519 refuses a point of low order`(point: String) throws {
        let key = Curve25519.PrivateKey.generate(SystemRandomSource())
        let point = try Curve25519.PublicKey(try #require(Hex.decode(point)))
        #expect(throws: CryptographyError.refusedPublicKey) { try key.sharedSecret(with: point) }
    }

    @Test func `secrets describe themselves as an ellipsis`() {
        let key = Ed25519.SigningKey.generate(SystemRandomSource())
        #expect("\(key)".hasPrefix("Ed25519 …"))
        let secret = SecretBytes([1, 2, 3])
        #expect("\(secret)" == "…")
        #expect(secret.bytes == [1, 2, 3])
        #expect(SecretBytes([4, 5], placement: .heap).bytes == [4, 5])
    }
}
