internal import Cryptography

/// An encrypted message of a Megolm session, parsed, not yet authenticated.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/megolm/#message-format>
public struct MegolmMessage: Sendable {
    /// The place of the message in its session.
    public let index: UInt32
    let form: MACForm
    let ciphertext: ArraySlice<UInt8>
    /// What the code covers.
    let covered: ArraySlice<UInt8>
    let mac: ArraySlice<UInt8>
    /// What the signature covers: all before it.
    let signed: ArraySlice<UInt8>
    let signature: ArraySlice<UInt8>

    /// Throws `malformed` or `unsupportedVersion`.
    public init(_ bytes: [UInt8]) throws(RatchetError) {
        guard bytes.count <= Limits.messageBytes else { throw .malformed(rule: "messages have at most 1 MiB") }
        form = try MACForm(of: bytes[...])
        guard bytes.count > 1 + form.size + Ed25519.signatureSize else {
            throw .malformed(rule: "a message has a payload")
        }
        signed = bytes.dropLast(Ed25519.signatureSize)
        signature = bytes.suffix(Ed25519.signatureSize)
        covered = signed.dropLast(form.size)
        mac = signed.suffix(form.size)
        var index: UInt32?
        var ciphertext: ArraySlice<UInt8>?
        var reader = ProtobufReader(covered.dropFirst())
        while let (field, value) = try reader.next() {
            switch (field, value) {
            case (1, .integer(let value)):
                guard let value = UInt32(exactly: value) else { throw .malformed(rule: "an index has 32 bits") }
                index = value
            case (2, .bytes(let bytes)): ciphertext = bytes
            default: continue
            }
        }
        guard let index, let ciphertext else { throw .malformed(rule: "a message has an index and a ciphertext") }
        self.index = index
        self.ciphertext = ciphertext
    }

    static func sealed(
        _ plaintext: [UInt8], with keys: CipherKeys, index: UInt32, signingKey: Ed25519.SigningKey, form: MACForm
    ) throws(RatchetError) -> [UInt8] {
        let ciphertext = try keys.encrypt(plaintext)
        var writer = ProtobufWriter(version: form.rawValue, capacity: ciphertext.count + 112)
        writer.write(UInt64(index), tag: 0x08)
        writer.write(ciphertext, tag: 0x12)
        writer.append(keys.mac(over: writer.bytes, form))
        writer.append(signingKey.sign(writer.bytes))
        return writer.bytes
    }

    func verifySignature(by key: Ed25519.PublicKey) throws(RatchetError) {
        guard key.verifies(signature, of: signed) else { throw .wrongSignature }
    }

    func opened(with keys: CipherKeys) throws(RatchetError) -> [UInt8] {
        try keys.verify(mac, over: covered, form)
        return try keys.decrypt(ciphertext)
    }
}
