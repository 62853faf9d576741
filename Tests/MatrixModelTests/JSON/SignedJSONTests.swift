import Cryptography
import MatrixModel
import Testing

@Suite("Signed JSON") struct SignedJSONTests {
    let vectors: JSONView
    let key: Ed25519.SigningKey
    let server: String
    let keyID: String

    init() throws {
        vectors = try specificationVectors("signing/signing.json").root
        key = try Ed25519.SigningKey(seed: #require(Base64.decode(vectors.requiredString("ed25519_seed"))))
        server = try vectors.requiredString("server_name")
        keyID = try vectors.requiredString("key_id")
    }

    @Test func `the specification's objects get the specification's signatures`() throws {
        #expect(Base64.encode(key.publicKey.bytes) == (try vectors.requiredString("ed25519_public_key")))
        let examples = try vectors.requiredArray("json_signing")
        #expect(examples.count == 2)
        for example in examples {
            let input = try example.requiredObject("input").value
            let signed = SignedJSON.sign(input, as: server, keyID: keyID, with: key)
            #expect(signed == (try example.requiredObject("signed").value))
            #expect(SignedJSON.verify(signed, entity: server, keyID: keyID, key: key.publicKey))
        }
    }

    @Test func `what was changed, or signed by nobody, is not valid`() throws {
        let examples = try vectors.requiredArray("json_verify_fails")
        #expect(!examples.isEmpty)
        for example in examples {
            let object = try example.requiredObject("object")
            #expect(!SignedJSON.verify(object, entity: server, keyID: keyID, key: key.publicKey))
        }
    }

    @Test(arguments: [
        "null", "[]", #"{"signatures":[]}"#, #"{"signatures":{"domain":"x"}}"#,
        #"{"signatures":{"domain":{"ed25519:1":5}}}"#,
        #"{"signatures":{"domain":{"ed25519:1":""}}}"#, #"{"signatures":{"domain":{"ed25519:1":"é"}}}"#,
    ])
    func `objects of an odd shape are not valid`(_ json: String) throws {
        #expect(!SignedJSON.verify(try document(json).root, entity: server, keyID: keyID, key: key.publicKey))
    }

    @Test func `other signatures and unsigned stay, and are not signed`() throws {
        let object: JSONValue = ["a": 1, "unsigned": ["age": 5], "signatures": ["other": ["ed25519:x": "abc"]]]
        var signed = SignedJSON.sign(object, as: try ServerName("domain"), keyID: keyID, with: key)
        #expect(signed["signatures", "other", "ed25519:x"] == "abc")
        #expect(signed["unsigned"] == ["age": 5])
        signed["unsigned"] = ["age": 6]
        #expect(SignedJSON.verify(signed, entity: "domain", keyID: keyID, key: key.publicKey))
        signed["a"] = 2
        #expect(!SignedJSON.verify(signed, entity: "domain", keyID: keyID, key: key.publicKey))
    }

    @Test func `what is nested too deeply to be read is signed by nobody`() throws {
        let key = try Ed25519.SigningKey(seed: [UInt8](repeating: 1, count: 32))
        var deep: JSONValue = [:]
        for _ in 0..<200 { deep = ["x": deep] }
        let signed = SignedJSON.sign(deep, as: "one.test", keyID: "ed25519:1", with: key)
        #expect(!SignedJSON.verify(signed, entity: "one.test", keyID: "ed25519:1", key: key.publicKey))
    }
}
