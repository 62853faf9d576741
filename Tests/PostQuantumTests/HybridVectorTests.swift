import Cryptography
import MatrixModel
import Testing

@testable import PostQuantum
@testable import Ratchet

@Suite("hybrid vectors") struct HybridVectorTests {
    @Test func `the messages of the second ratchet are read, whose ML-KEM is another library's`() throws {
        let vector = try vector()
        func bytes(_ name: String) throws -> [UInt8] {
            try #require(vector[name]?.string.flatMap { Base64.decode($0) })
        }
        let oneTime = OlmAccount.OneTimeKey(number: 1, secret: try Curve25519.PrivateKey(bytes("one_time_secret")))
        var account = OlmAccount(
            signingKey: .generate(random), identitySecret: try Curve25519.PrivateKey(bytes("identity_secret")),
            nextNumber: 2, oneTimeKeys: [oneTime], publishedBelow: 2, fallback: nil, previousFallback: nil)
        var keys = EncapsulationKeys()
        let seed = SecretBytes(try bytes("encapsulation_seed"), placement: .pooled)
        keys.oneTimeKeys = [try EncapsulationKeys.Key(number: 1, seed: seed)]
        #expect(keys.oneTimeKeys[0].publicKey == (try bytes("encapsulation_key")))
        let messages = try #require(vector["messages"]?.array).compactMap { $0.string.flatMap { Base64.decode($0) } }
        #expect(messages.count == 2)
        let opening = try HybridPreKeyMessage(messages[0])
        var (session, plaintext) = try keys.inboundSession(
            of: &account, identityKey: Curve25519.PublicKey(bytes("sender")), preKeyMessage: opening)
        #expect(plaintext == Array("hybrid 0".utf8))
        #expect(session.id == vector["session_id"]?.string)
        #expect(opening.sessionID == session.id)
        #expect(try session.decrypt(OlmMessage(type: .preKey, bytes: messages[1])) == Array("hybrid 1".utf8))
    }

    private func vector() throws -> JSONValue {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let bytes = try #require(contents("\(root)/spec/vectors/post-quantum/hybrid.json"))
        return try JSONValue.parse(bytes)
    }

    @Test func `keys and ciphertexts have the lengths of FIPS 203`() throws {
        let seed = SecretBytes(random.bytes(64), placement: .pooled)
        let key = try MLKEM.publicKey(seed: seed)
        #expect(key.count == 1184)
        let (ciphertext, secret) = try MLKEM.encapsulate(to: key)
        #expect((ciphertext.count, secret.count) == (1088, 32))
        #expect(try MLKEM.decapsulate(ciphertext, seed: seed) == secret)
        // An altered ciphertext gives another secret, and says nothing.
        var altered = ciphertext
        altered[7] ^= 1
        #expect(try MLKEM.decapsulate(altered, seed: seed) != secret)
        #expect(throws: RatchetError.refusedKey) { try MLKEM.decapsulate(Array(ciphertext.dropLast()), seed: seed) }
        #expect(throws: RatchetError.refusedKey) { try MLKEM.publicKey(seed: seed.part(0..<63)) }
    }

    @Test func `each thing that is combined changes the outcome`() throws {
        func key(_ byte: UInt8) throws -> Curve25519.PublicKey {
            try Curve25519.PublicKey([UInt8](repeating: byte, count: 32))
        }
        func secret(_ byte: UInt8, _ count: Int) -> SecretBytes {
            SecretBytes([UInt8](repeating: byte, count: count), placement: .pooled)
        }
        func combined(_ changed: Int) throws -> [UInt8] {
            func byte(_ number: Int) -> UInt8 { UInt8(number == changed ? 99 : number) }
            let agreement = HybridAgreement(
                keyHash: [UInt8](repeating: byte(1), count: 32), ciphertext: [UInt8](repeating: byte(2), count: 1088))
            let keys = SessionKeys(
                identityKey: try key(byte(3)), baseKey: try key(byte(4)), oneTimeKey: try key(byte(5)))
            return agreement.combined(
                secret(byte(6), 32), secret(byte(7), 96), keys, receiver: try key(byte(8))
            ).bytes
        }
        let outcomes = try (0...8).map { try combined($0) }
        #expect(outcomes.allSatisfy { $0.count == 64 })
        #expect(Set(outcomes).count == 9)
    }
}
