import Testing

@testable import Cryptography

/// What is made of smaller pieces for speed gives what the definitions give.
@Suite("fast paths") struct FastPathTests {
    private let random = SystemRandomSource()

    @Test func `a public key by way of the Edwards curve is the ladder's`() throws {
        let nine = try Curve25519.PublicKey([9] + [UInt8](repeating: 0, count: 31))
        var secrets = (0..<200).map { _ in random.bytes(32) }
        secrets += [
            [UInt8](repeating: 0, count: 32), [UInt8](repeating: 255, count: 32),
            [1] + [UInt8](repeating: 0, count: 31),
        ]
        for secret in secrets {
            let key = try Curve25519.PrivateKey(secret)
            #expect(try key.agreement(with: nine).bytes == key.publicKey.bytes)
            #expect(key.publicKey.isCanonical)
        }
        #expect(!(try Curve25519.PublicKey([UInt8](repeating: 255, count: 32)).isCanonical))
    }

    @Test func `signatures verify for messages of all lengths, and an expanded key signs alike`() throws {
        for count in 0..<300 {
            let key = Ed25519.SigningKey.generate(random)
            let message = random.bytes(count)
            let signature = key.sign(message)
            #expect(key.publicKey.verifies(signature, of: message))
            #expect(key.sign(message) == signature)
        }
        // RFC 8032, test 3, and SHA-512 of its seed, clamped.
        let seed = try #require(Hex.decode("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
        let expanded = try #require(
            Hex.decode(
                "909a8b755ed902849023a55b15c23d11ba4d7f4ec5c2f51b1325a181991ea95c"
                    + "6608c8666b9cde2325f539d7d83386fe8187c6be61d8a70c247190d64edf5f1e"))
        let (whole, bare) = (try Ed25519.SigningKey(seed: seed), try Ed25519.SigningKey(expanded: expanded))
        #expect(
            Hex.encode(whole.sign([0xaf, 0x82]))
                == "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a")
        #expect(bare.publicKey == whole.publicKey)
        #expect(bare.sign([0xaf, 0x82]) == whole.sign([0xaf, 0x82]))
        #expect((bare.isExpandedOnly, whole.isExpandedOnly) == (true, false))
        #expect((bare.seed, whole.seed) == (expanded, seed))
        var loose = expanded
        loose[0] |= 1
        #expect(throws: CryptographyError.outOfRange) { try Ed25519.SigningKey(expanded: loose) }
        loose = expanded
        loose[31] |= 0x80
        #expect(throws: CryptographyError.outOfRange) { try Ed25519.SigningKey(expanded: loose) }
        #expect(throws: CryptographyError.wrongLength(expected: 64, found: 63)) {
            try Ed25519.SigningKey(expanded: Array(expanded.dropLast()))
        }
    }

    @Test func `HMAC is RFC 4231's, with keys shorter, as long and longer than a block`() throws {
        // RFC 4231, cases 1, 2, 6 and 7.
        let long = [UInt8](repeating: 0xaa, count: 131)
        for (key, message, code) in [
            (
                [UInt8](repeating: 0x0b, count: 20), "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                long, "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
            (
                long,
                "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
                    + "hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
            ),
        ] {
            #expect(Hex.encode(HMACSHA256.authenticate(Array(message.utf8), key: key)) == code)
        }
        // A step over the key's own place is the step elsewhere.
        let key = SecretBytes(random.bytes(32), placement: .pooled)
        let step = HMACSHA256.derive(2, from: key)
        #expect(step.bytes == HMACSHA256.authenticate([2] as [UInt8], key: key))
        let over = SecretBytes(count: 32, placement: .pooled) { output in
            key.withBytes { output.copyMemory(from: $0) }
            HMACSHA256.step(2, key: UnsafeRawBufferPointer(output), into: output)
        }
        #expect(over == step)
    }

    @Test func `ChaCha20-Poly1305 is RFC 8439's`() throws {
        // RFC 8439, A.5 gives the tag with additional data; without, the pieces must at least fit each other.
        let (key, nonce) = (random.bytes(32), random.bytes(12))
        let sealed = try ChaCha20Poly1305.seal([1, 2, 3], key: key, nonce: nonce)
        #expect(sealed.count == 19)
        #expect(try ChaCha20Poly1305.open(sealed, key: key, nonce: nonce) == [1, 2, 3])
        #expect(throws: CryptographyError.decryptionFailed) {
            try ChaCha20Poly1305.open(Array(sealed.dropLast()), key: key, nonce: nonce)
        }
        #expect(throws: CryptographyError.decryptionFailed) {
            try ChaCha20Poly1305.open([], key: key, nonce: nonce)
        }
        #expect(throws: CryptographyError.wrongLength(expected: 12, found: 11)) {
            try ChaCha20Poly1305.seal([], key: key, nonce: Array(nonce.dropLast()))
        }
        #expect(throws: CryptographyError.wrongLength(expected: 32, found: 31)) {
            try ChaCha20Poly1305.seal([], key: Array(key.dropLast()), nonce: nonce)
        }
    }
}
