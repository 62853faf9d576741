import Cryptography
import Foundation
import Homeserver
import Testing

@testable import fedchatd

@Suite("Signing keys on disk") struct SigningKeyFilesTests {
    private func withFolder<R>(_ work: (String) throws -> R) throws -> R {
        let folder = NSTemporaryDirectory() + "keys-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try work(folder)
    }

    @Test func `a key is made once, for its owner only`() throws {
        try withFolder { folder in
            let files = SigningKeyFiles(path: folder + "/signing.key")
            let first = try files.loadOrMake(SystemRandomSource())
            let second = try files.loadOrMake(SystemRandomSource())
            #expect(first.keyID == second.keyID)
            #expect(first.current.publicKey == second.current.publicKey)
            let mode = try FileManager.default.attributesOfItem(atPath: files.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func `a key that others can read is refused`() throws {
        try withFolder { folder in
            let files = SigningKeyFiles(path: folder + "/signing.key")
            _ = try files.loadOrMake(SystemRandomSource())
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: files.path)
            #expect(throws: SigningKeyFiles.Failure.self) { try files.load() }
        }
    }

    @Test func `rotation retires the old key with its time`() throws {
        try withFolder { folder in
            let files = SigningKeyFiles(path: folder + "/signing.key")
            let old = try files.loadOrMake(SystemRandomSource())
            let new = try files.rotate(now: 1_234, SystemRandomSource())
            #expect(new.keyID != old.keyID)
            #expect(new.retired.map(\.keyID) == [old.keyID])
            #expect(new.retired.first?.expired == 1_234)
            #expect(new.retired.first?.publicKey == old.current.publicKey)
        }
    }

    @Test func `a policy server's key stands alone beside the others`() throws {
        try withFolder { folder in
            let signing = SigningKeyFiles(path: folder + "/signing.key")
            let policy = SigningKeyFiles(path: folder + "/policy_server.key")
            _ = try signing.loadOrMake(SystemRandomSource())
            let key = try policy.loadOrMakePolicyServerKey(SystemRandomSource())
            _ = try signing.rotate(now: 1_234, SystemRandomSource())
            #expect(try policy.loadOrMakePolicyServerKey(SystemRandomSource()).publicKey == key.publicKey)
            let mode = try FileManager.default.attributesOfItem(atPath: policy.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let published = try signing.load()
            let keys = [published.current.publicKey] + published.retired.map(\.publicKey)
            #expect(keys.count == 2 && !keys.contains(key.publicKey))
            // One file cannot be both: what a room names would be what a server publishes.
            #expect(throws: SigningKeyFiles.Failure.self) { try policy.load() }
            #expect(throws: SigningKeyFiles.Failure.self) { try signing.loadPolicyServerKey() }
            try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: policy.path)
            #expect(throws: SigningKeyFiles.Failure.self) { try policy.loadPolicyServerKey() }
        }
    }

    @Test func `a file that is no key is told, not trapped on`() throws {
        try withFolder { folder in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for text in ["", "x", "ed25519 a_b !!!", "ed25519 a/../b AAAA", "rsa a b"] {
                let path = folder + "/signing.key"
                try text.write(toFile: path, atomically: true, encoding: .utf8)
                try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
                #expect(throws: SigningKeyFiles.Failure.self) { try SigningKeyFiles(path: path).load() }
            }
        }
    }
}
