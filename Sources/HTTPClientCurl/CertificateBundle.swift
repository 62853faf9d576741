private import CCurl
internal import HTTPMessages

#if canImport(Glibc)
    private import Glibc
#elseif canImport(Musl)
    private import Musl
#endif

/// The authorities that certificates are checked against: the system's, and those the operator adds.
///
/// With additions, all are written to one file in memory. libcurl parses a file once and keeps the result, whereas
/// it would parse a CURLOPT_CAINFO_BLOB, or a CURLOPT_CAPATH, again for every connection: 25 ms instead of 0.8.
final class CertificateBundle: Sendable {
    /// What CURLOPT_CAINFO gets; `nil` if the system has no bundle and nothing was added.
    let path: String?
    private let descriptor: Int32

    /// - Throws: ``HTTPClientError/tls(_:)`` naming a file that cannot be read or holds no certificate.
    init(adding files: [String]) throws(HTTPClientError) {
        let system = Self.systemBundles.first { access($0, R_OK) == 0 }
        guard !files.isEmpty else {
            path = system
            descriptor = -1
            return
        }
        var bundle = system.flatMap(Self.read) ?? []
        for file in files {
            guard let added = Self.read(file), String(decoding: added, as: UTF8.self).contains("BEGIN CERTIFICATE")
            else { throw .tls("no certificate can be read from \(file)") }
            bundle += [UInt8(ascii: "\n")] + added
        }
        let descriptor = fedchat_memory_file("fedchat-authorities")
        guard descriptor >= 0, Self.write(bundle, to: descriptor) else {
            if descriptor >= 0 { close(descriptor) }
            throw .tls("no memory for certificates")
        }
        self.descriptor = descriptor
        path = "/proc/self/fd/\(descriptor)"
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    private static let systemBundles = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
    ]

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += buffer[..<count]
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
