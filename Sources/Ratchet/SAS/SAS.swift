public import Cryptography

/// Short authentication strings: two devices agree on a secret that their users compare.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#short-authentication-string-sas-verification>
public struct SAS: Sendable {
    private let secret: Curve25519.PrivateKey

    /// A key pair for one verification.
    public init(random: some RandomSource) { secret = .generate(random) }

    init(secret: Curve25519.PrivateKey) { self.secret = secret }

    /// What `m.key.verification.key` carries.
    public var publicKey: Curve25519.PublicKey { secret.publicKey }

    /// What both sides know after the exchange of keys. Throws `refusedKey` for a key of low order.
    public func established(with other: Curve25519.PublicKey) throws(RatchetError) -> EstablishedSAS {
        EstablishedSAS(
            sharedSecret: try translating { () throws(CryptographyError) in try secret.agreement(with: other) })
    }
}

/// The secret of one verification, and all that comes from it.
public struct EstablishedSAS: Sendable {
    private let sharedSecret: SecretBytes

    init(sharedSecret: SecretBytes) { self.sharedSecret = sharedSecret }

    /// The code to compare, for `info` as the spec's HKDF calculation spells it.
    public func code(info: String) -> SASCode {
        SASCode(secret(info, count: 6).bytes)
    }

    /// `hkdf-hmac-sha256.v2`: unpadded base64.
    public func mac(of input: String, info: String) -> String {
        Base64.encode(macBytes(of: input, info: info))
    }

    /// Whether `mac` is the code of `input`, in constant time.
    public func verify(_ mac: String, of input: String, info: String) -> Bool {
        guard let bytes = Base64.decode(mac) else { return false }
        return constantTimeEquals(bytes, macBytes(of: input, info: info))
    }

    /// `hkdf-hmac-sha256`, deprecated: the same code in the wrong base64 of old libolm, which encoded in place and so
    /// read what it had already overwritten.
    public func legacyMAC(of input: String, info: String) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        let code = macBytes(of: input, info: info)
        var buffer = code + [UInt8](repeating: 0, count: 43 - code.count)
        for group in 0..<10 {
            let (read, write) = (group * 3, group * 4)
            let bits = UInt32(buffer[read]) << 16 | UInt32(buffer[read + 1]) << 8 | UInt32(buffer[read + 2])
            for place in 0..<4 { buffer[write + place] = alphabet[Int(bits >> UInt32(18 - place * 6) & 63)] }
        }
        let bits = UInt32(buffer[30]) << 10 | UInt32(buffer[31]) << 2
        for place in 0..<3 { buffer[40 + place] = alphabet[Int(bits >> UInt32(12 - place * 6) & 63)] }
        return String(decoding: buffer, as: UTF8.self)
    }

    private func macBytes(of input: String, info: String) -> [UInt8] {
        HMACSHA256.authenticate(Array(input.utf8)[...], key: secret(info, count: 32))
    }

    private func secret(_ info: String, count: Int) -> SecretBytes {
        HKDFSHA256.deriveSecret(input: sharedSecret, salt: [UInt8](), info: Array(info.utf8), count: count)
    }
}
