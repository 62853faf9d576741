import FedchatTesting
import Foundation
import HTTPServer

/// A certificate authority in a temporary folder, made by the openssl command line.
final class TestAuthority: Sendable {
    struct Failure: Error { let arguments: [String] }

    let folder: URL
    var certificatePath: String { folder.appendingPathComponent("ca.crt").path }

    init() async throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("fedchat-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try await openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority")
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// A certificate for names as `DNS:a.test` or `IP:127.0.0.1`.
    func certificate(_ file: String, for names: String) async throws -> HTTPListener.TLS {
        try await openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "\(file).key",
            "-out", "\(file).csr", "-subj", "/CN=\(file)")
        let extensions = folder.appendingPathComponent("\(file).ext")
        try Data("subjectAltName=\(names)\n".utf8).write(to: extensions)
        try await openssl(
            "x509", "-req", "-in", "\(file).csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "\(file).ext", "-out", "\(file).crt")
        return HTTPListener.TLS(
            certificatePath: folder.appendingPathComponent("\(file).crt").path,
            privateKeyPath: folder.appendingPathComponent("\(file).key").path)
    }

    private func openssl(_ arguments: String...) async throws {
        let folder = folder
        try await RawSocket.blocking {
            let run = try ProgramRun.run(["openssl"] + arguments, in: folder.path)
            guard run.status == 0 else { throw Failure(arguments: arguments) }
        }
    }
}
