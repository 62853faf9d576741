private import COpenSSL
private import Glibc

/// The first certificate of a PEM file, as far as one looks at one's own: how long it counts, and whose key it has.
public struct X509Certificate: Sendable {
    /// Milliseconds since 1970 from which it counts.
    public let notBefore: Int64
    /// Milliseconds since 1970 until which it counts.
    public let notAfter: Int64
    private let pem: [UInt8]

    /// Reads a certificate; nil for bytes that are none.
    public init?(pem: [UInt8]) {
        self.pem = pem
        let times = Self.with(pem) { certificate in
            (Self.milliseconds(X509_get0_notBefore(certificate)), Self.milliseconds(X509_get0_notAfter(certificate)))
        }
        guard let (before, after) = times, let before, let after else { return nil }
        (notBefore, notAfter) = (before, after)
    }

    /// Whether a private key, as PEM and without a passphrase, is that of the certificate.
    public func matches(privateKeyPEM key: [UInt8]) -> Bool {
        Self.with(pem) { certificate in
            key.withUnsafeBytes { bytes in
                guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return false }
                defer { BIO_free(bio) }
                // Nobody is asked for a passphrase.
                guard let key = PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in 0 }, nil) else {
                    ERR_clear_error()
                    return false
                }
                defer { EVP_PKEY_free(key) }
                return X509_check_private_key(certificate, key) == 1
            }
        } ?? false
    }

    private static func with<Result>(_ pem: [UInt8], _ work: (OpaquePointer) -> Result) -> Result? {
        pem.withUnsafeBytes { bytes in
            guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(bio) }
            guard let certificate = PEM_read_bio_X509(bio, nil, { _, _, _, _ in 0 }, nil) else {
                ERR_clear_error()
                return nil
            }
            defer { X509_free(certificate) }
            return work(certificate)
        }
    }

    private static func milliseconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts)) * 1000
    }
}
