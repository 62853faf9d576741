internal import NIOSSL
import Synchronization

/// A certificate with its key, read from files. Connections made after a reload use what was read then.
final class CertificateFiles: Sendable {
    private let paths: HTTPListener.TLS
    private let loaded: Mutex<NIOSSLContext>

    init(_ paths: HTTPListener.TLS) throws(HTTPServerError) {
        self.paths = paths
        loaded = Mutex(try Self.load(paths))
    }

    /// The context for a new connection.
    var context: NIOSSLContext { loaded.withLock { $0 } }

    /// Reads the files again; if they are unusable the old ones stay in use.
    func reload() throws(HTTPServerError) {
        let context = try Self.load(paths)
        loaded.withLock { $0 = context }
    }

    private static func load(_ paths: HTTPListener.TLS) throws(HTTPServerError) -> NIOSSLContext {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(paths.certificatePath)
        } catch {
            throw .badCertificate(path: paths.certificatePath, reason: "\(error)")
        }
        guard !chain.isEmpty else { throw .badCertificate(path: paths.certificatePath, reason: "no certificate") }
        do {
            let key = try NIOSSLPrivateKey(file: paths.privateKeyPath, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw .badCertificate(path: paths.privateKeyPath, reason: "\(error)")
        }
    }
}
