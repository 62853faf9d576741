import Cryptography
import MatrixModel
import Ratchet
import Testing

@Suite("keys kept on servers and in files") struct KeyStorageTests {
    @Test func `recovery keys are the published ones`() throws {
        let vectors = try Vectors.read("key-storage/keys.json")
        for vector in try vectors.elements("key_representation") {
            let (text, key) = (try vector.text("base58"), try vector.hex("key_hex"))
            #expect(try RecoveryKey.decode(text) == key)
            #expect(try RecoveryKey.encode(key).filter { $0 != " " } == text.filter { $0 != " " })
        }
        for vector in try vectors.elements("key_representation_rejects") {
            let text = try vector.text("base58")
            #expect(throws: RatchetError.self) { try RecoveryKey.decode(text) }
        }
        for text in ["", "é", String(repeating: "z", count: 100_000)] {
            #expect(throws: RatchetError.self) { try RecoveryKey.decode(text) }
        }
    }

    @Test func `secret storage recognizes the published keys`() throws {
        for vector in try Vectors.read("key-storage/keys.json").elements("secret_storage_key_check") {
            var key = try SecretStorageKey(vector.hex("key_hex"))
            if let parameters = vector["pbkdf2"] {
                let iterations = try #require(parameters["iterations"]?.integer)
                let derived = try SecretStorageKey(
                    passphrase: vector.text("passphrase"), salt: parameters.text("salt"), iterations: Int(iterations))
                #expect(derived.bytes == key.bytes)
                key = derived
            }
            #expect(key.matches(iv: try vector.base64("iv"), mac: try vector.base64("mac")))
            #expect(
                !(try SecretStorageKey.generate(random).matches(iv: vector.base64("iv"), mac: vector.base64("mac"))))
        }
    }

    @Test func `a stored secret opens under its name only`() throws {
        let key = try SecretStorageKey.generate(random)
        let sealed = try key.seal(Array("secret".utf8), name: "m.one", random: random)
        #expect(sealed.iv[8] & 0x80 == 0)
        #expect(try key.open(sealed, name: "m.one") == Array("secret".utf8))
        #expect(throws: RatchetError.cannotOpen) { try key.open(sealed, name: "m.two") }
        let cut = SecretStorageKey.Sealed(iv: [], ciphertext: sealed.ciphertext, mac: sealed.mac)
        #expect(throws: RatchetError.refusedKey) { try key.open(cut, name: "m.one") }
        let check = try key.check(random: random)
        #expect(key.matches(iv: check.iv, mac: check.mac))
        #expect(throws: RatchetError.self) { try SecretStorageKey(passphrase: "a", salt: "b", iterations: .max) }
    }

    @Test func `the published backup opens`() throws {
        for vector in try Vectors.read("key-storage/keys.json").elements("megolm_backup") {
            let key = try BackupKey(vector.base64("private_key"))
            #expect(key.publicKey.bytes == (try vector.base64("public_key")))
            let data = try #require(vector["session_data"])
            let sealed = BackupKey.Sealed(
                ephemeral: try data.base64("ephemeral"), ciphertext: try data.base64("ciphertext"),
                mac: try data.base64("mac"))
            #expect(try JSONValue.parse(key.open(sealed)) == vector["plaintext"])
            #expect(throws: RatchetError.wrongMAC) { try BackupKey.generate(random).open(sealed) }
        }
    }

    @Test func `what is sealed for a backup opens with its key, saved and loaded`() throws {
        let key = try BackupKey(BackupKey.generate(random).bytes)
        let sealed = try BackupKey.seal([1, 2, 3], for: key.publicKey, random: random)
        #expect(try key.open(sealed) == [1, 2, 3])
        let zero = try Curve25519.PublicKey([UInt8](repeating: 0, count: 32))
        #expect(throws: RatchetError.refusedKey) { try BackupKey.seal([1], for: zero, random: random) }
    }

    @Test func `an attachment opens unless a byte or the hash differs`() throws {
        for count in [0, 1, 16, 1000] {
            let file = random.bytes(count)
            let (ciphertext, key) = try AttachmentCipher.encrypt(file, random: random)
            #expect(ciphertext.count == count)
            #expect(key.iv.suffix(8).allSatisfy { $0 == 0 })
            #expect(try AttachmentCipher.decrypt(ciphertext, with: key) == file)
            #expect(throws: RatchetError.cannotOpen) { try AttachmentCipher.decrypt(ciphertext + [0], with: key) }
            let short = AttachmentCipher.Key(key: [1], iv: key.iv, sha256: key.sha256)
            #expect(throws: RatchetError.refusedKey) { try AttachmentCipher.decrypt(ciphertext, with: short) }
        }
    }

    @Test func `a key file opens with its passphrase, whatever its line ends`() throws {
        let sessions = Array("[]".utf8) + random.bytes(300)
        let file = try KeyExport.seal(sessions, passphrase: "pä ss", rounds: 10, random: random)
        #expect(file.hasPrefix("-----BEGIN MEGOLM SESSION DATA-----\n"))
        #expect(file.hasSuffix("\n-----END MEGOLM SESSION DATA-----\n"))
        #expect(try KeyExport.open(file, passphrase: "pä ss") == sessions)
        #expect(
            try KeyExport.open(file.split(separator: "\n").joined(separator: "\r\n"), passphrase: "pä ss") == sessions)
        #expect(throws: RatchetError.cannotOpen) { try KeyExport.open(file, passphrase: "pass") }
        for broken in ["", "-----BEGIN MEGOLM SESSION DATA-----", file.replacing("D", with: "é")] {
            #expect(throws: RatchetError.self) { try KeyExport.open(broken, passphrase: "pä ss") }
        }
    }

    @Test func `a key file that asks for more than ten million rounds is refused at once`() {
        for rounds in [[255, 255, 255, 255], [0, 0x98, 0x96, 0x81]] as [[UInt8]] {
            let bytes = [1] + [UInt8](repeating: 0, count: 32) + rounds + [UInt8](repeating: 0, count: 40)
            let file =
                "-----BEGIN MEGOLM SESSION DATA-----\n\(Base64.encode(bytes))\n-----END MEGOLM SESSION DATA-----\n"
            #expect(throws: RatchetError.outOfRange(rule: "1 to 10,000,000 PBKDF2 rounds")) {
                try KeyExport.open(file, passphrase: "a")
            }
        }
        #expect(throws: RatchetError.outOfRange(rule: "1 to 10,000,000 PBKDF2 iterations")) {
            try SecretStorageKey(passphrase: "a", salt: "b", iterations: 10_000_001)
        }
        #expect(KeyExport.standardRounds == 500_000)
    }

    @Test func `a key file has at most 1 GiB`() {
        // Memory that nothing was written to: zeros that take up no room.
        let count = (1 << 30) + 1
        let file = String(unsafeUninitializedCapacity: count) { _ in count }
        #expect(throws: RatchetError.malformed(rule: "a key file has at most 1 GiB")) {
            try KeyExport.open(file, passphrase: "a")
        }
    }

    /// All bits set.
    private struct Ones: RandomSource {
        func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0xff, count: count) }
    }

    @Test func `bit 63 of the first counter block is zero, and only that`() throws {
        let ones = [UInt8](repeating: 0xff, count: 16)
        let block = ones.prefix(8) + [0x7f] + ones.suffix(7)
        let key = try SecretStorageKey(ones + ones)
        #expect(try key.seal([1], name: "m.one", random: Ones()).iv == Array(block))
        #expect(try key.check(random: Ones()).iv == Array(block))
        let file = try KeyExport.seal([1], passphrase: "a", rounds: 1, random: Ones())
        let text = file.split(separator: "\n").dropFirst().dropLast().joined()
        let bytes = try #require(Base64.decode(text))
        // After version and salt.
        #expect(bytes[17..<33] == block)
    }
}
