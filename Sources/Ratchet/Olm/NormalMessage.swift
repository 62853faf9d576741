internal import Cryptography

/// The message of one chain, parsed, not yet authenticated.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#normal-messages>
struct NormalMessage {
    let form: MACForm
    let ratchetKey: Curve25519.PublicKey
    let index: UInt64
    let ciphertext: ArraySlice<UInt8>
    /// What the code covers: version and payload.
    let covered: ArraySlice<UInt8>
    let mac: ArraySlice<UInt8>

    init(parsing bytes: ArraySlice<UInt8>) throws(RatchetError) {
        guard bytes.count <= Limits.messageBytes else { throw .malformed(rule: "messages have at most 1 MiB") }
        form = try MACForm(of: bytes)
        guard bytes.count > 1 + form.size else { throw .malformed(rule: "a message has a payload") }
        covered = bytes.dropLast(form.size)
        mac = bytes.suffix(form.size)
        var ratchetKey: ArraySlice<UInt8>?
        var index: UInt64?
        var ciphertext: ArraySlice<UInt8>?
        var reader = ProtobufReader(covered.dropFirst())
        while let (field, value) = try reader.next() {
            switch (field, value) {
            case (1, .bytes(let bytes)): ratchetKey = bytes
            case (2, .integer(let value)): index = value
            case (4, .bytes(let bytes)): ciphertext = bytes
            default: continue
            }
        }
        guard let ratchetKey, let index, let ciphertext else {
            throw .malformed(rule: "a message has a ratchet key, an index and a ciphertext")
        }
        self.ratchetKey = try translating { () throws(CryptographyError) in
            try Curve25519.PublicKey(Array(ratchetKey))
        }
        self.index = index
        self.ciphertext = ciphertext
    }

    /// A sealed message.
    static func sealed(
        _ plaintext: [UInt8], with keys: CipherKeys, ratchetKey: Curve25519.PublicKey, index: UInt64, form: MACForm
    ) throws(RatchetError) -> [UInt8] {
        let ciphertext = try keys.encrypt(plaintext)
        var writer = ProtobufWriter(version: form.rawValue, capacity: ciphertext.count + 88)
        writer.write(ratchetKey.bytes, tag: 0x0a)
        writer.write(index, tag: 0x10)
        writer.write(ciphertext, tag: 0x22)
        writer.append(keys.mac(over: writer.bytes, form))
        return writer.bytes
    }

    /// Authenticates, then decrypts.
    func opened(with keys: CipherKeys) throws(RatchetError) -> [UInt8] {
        try keys.verify(mac, over: covered, form)
        return try keys.decrypt(ciphertext)
    }
}
