public import Cryptography
public import MatrixModel
internal import Ratchet

/// A file that is encrypted before it is uploaded: where it lies and how it is opened.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#definition-encryptedfile>
public struct EncryptedFile: Sendable, CustomStringConvertible {
    /// Where the ciphertext lies.
    public let uri: MXCURI
    private let key: AttachmentCipher.Key

    private init(uri: MXCURI, key: AttachmentCipher.Key) {
        self.uri = uri
        self.key = key
    }

    /// Encrypts a file under a fresh key. `upload` stores the ciphertext and says where.
    public static func encrypt(
        _ plaintext: [UInt8], random: any RandomSource, upload: @Sendable ([UInt8]) async throws -> MXCURI
    ) async throws -> EncryptedFile {
        let (ciphertext, key) = try AttachmentCipher.encrypt(plaintext, random: random)
        return EncryptedFile(uri: try await upload(ciphertext), key: key)
    }

    /// The file. Throws ``EncryptionError`` unless the ciphertext is the one that was encrypted.
    public func decrypt(_ ciphertext: [UInt8]) throws(EncryptionError) -> [UInt8] {
        try EncryptionError.wrapping { () throws(RatchetError) in
            try AttachmentCipher.decrypt(ciphertext, with: key)
        }
    }

    /// As it stands in an event. Throws `malformed` for another version or algorithm than the specification's.
    public init(_ json: some JSONReading) throws(EncryptionError) {
        guard json["v"]?.string == "v2", json["key"]?["kty"]?.string == "oct", json["key"]?["alg"]?.string == "A256CTR",
            let uri = json["url"]?.string.flatMap({ try? MXCURI($0) }),
            let secret = json["key"]?["k"]?.string.flatMap({ Base64.decode($0) }),
            let iv = json["iv"]?.string.flatMap({ Base64.decode($0) }),
            let hash = json["hashes"]?["sha256"]?.string.flatMap({ Base64.decode($0) })
        else { throw .malformed(path: "EncryptedFile") }
        self.uri = uri
        key = AttachmentCipher.Key(key: secret, iv: iv, sha256: hash)
    }

    /// As it goes into an event.
    public var json: JSONValue {
        [
            "url": .string(uri.text), "v": "v2",
            "key": [
                "kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"],
                "k": .string(Base64.encode(key.key, .urlSafeUnpadded)),
            ],
            "iv": .string(Base64.encode(key.iv)), "hashes": ["sha256": .string(Base64.encode(key.sha256))],
        ]
    }

    /// Without the key.
    public var description: String { uri.text }
}
