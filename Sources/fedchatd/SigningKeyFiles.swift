import Cryptography
import Foundation
private import Glibc
import Homeserver

/// The signing keys on disk: `signing.key` (0600 in a 0700 folder) and `retired/`, one file a key; and a policy server's.
/// A file holds one line, `ed25519 VERSION SEED`, the seed in unpadded base64; a retired one also the time, in milliseconds.
struct SigningKeyFiles {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Of every policy server's key, by the spec.
    private static let policyServerVersion = "policy_server"

    let path: String

    private var folder: String { Paths.parent(path) }
    private var retiredFolder: String { folder + "/retired" }

    /// The keys; a first one is made if there is none.
    func loadOrMake(_ random: some RandomSource) throws(Failure) -> SigningKeys {
        if !Paths.exists(path) { try make(random, version: Self.newVersion(random)) }
        return try load()
    }

    func load() throws(Failure) -> SigningKeys {
        let (version, current) = try loadCurrent()
        // "The Policy Server's published signing key SHOULD NOT be the same key."
        guard version != Self.policyServerVersion else {
            throw Failure(description: "\(path): is a policy server's key, which no server publishes")
        }
        var retired: [SigningKeys.Retired] = []
        let files = (try? FileManager.default.contentsOfDirectory(atPath: retiredFolder)) ?? []
        for file in files.sorted() where file.hasSuffix(".key") {
            let path = retiredFolder + "/" + file
            let parts = try read(path)
            guard parts.count == 4, let expired = Int64(parts[3]) else {
                throw Failure(description: "\(path): expected ed25519 VERSION SEED TIME")
            }
            retired.append(
                SigningKeys.Retired(
                    keyID: "ed25519:\(parts[1])", publicKey: try key(parts, path).publicKey, expired: expired))
        }
        return SigningKeys(keyID: "ed25519:\(version)", current: current, retired: retired)
    }

    /// The key of the policy server, made if there is none. It stands alone: it is neither published nor rotated with others.
    func loadOrMakePolicyServerKey(_ random: some RandomSource) throws(Failure) -> Ed25519.SigningKey {
        if !Paths.exists(path) { try make(random, version: Self.policyServerVersion) }
        return try loadPolicyServerKey()
    }

    func loadPolicyServerKey() throws(Failure) -> Ed25519.SigningKey {
        let (version, key) = try loadCurrent()
        guard version == Self.policyServerVersion else {
            throw Failure(description: "\(path): expected one line, ed25519 \(Self.policyServerVersion) SEED")
        }
        return key
    }

    private func loadCurrent() throws(Failure) -> (version: String, key: Ed25519.SigningKey) {
        try refuseIfOthersCanRead(path)
        let parts = try read(path)
        guard parts.count == 3 else { throw Failure(description: "\(path): expected one line, ed25519 VERSION SEED") }
        return (parts[1], try key(parts, path))
    }

    /// Retires the current key and makes another. Returns the new keys.
    func rotate(now: Int64, _ random: some RandomSource) throws(Failure) -> SigningKeys {
        let old = try load()
        let parts = try read(path)
        guard parts.count == 3 else { throw Failure(description: "\(path): expected one line, ed25519 VERSION SEED") }
        try makeFolder(retiredFolder)
        let version = String(old.keyID.dropFirst("ed25519:".count))
        // First the old key's new place, then the new key: a crash between leaves a key that is both, and no harm.
        try write("ed25519 \(parts[1]) \(parts[2]) \(now)\n", to: "\(retiredFolder)/\(version).key")
        try make(random, version: Self.newVersion(random))
        return try load()
    }

    private static func newVersion(_ random: some RandomSource) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        return "a_" + String(random.bytes(6).map { letters[Int($0) % letters.count] })
    }

    private func make(_ random: some RandomSource, version: String) throws(Failure) {
        try makeFolder(folder)
        let key = Ed25519.SigningKey.generate(random)
        try write("ed25519 \(version) \(Base64.encode(key.seed, .standardUnpadded))\n", to: path)
    }

    private func makeFolder(_ folder: String) throws(Failure) {
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder)
        } catch { throw Failure(description: "\(folder): the folder cannot be made: \(error.localizedDescription)") }
    }

    /// Writes beside and renames, so that a key is never half a key.
    private func write(_ text: String, to path: String) throws(Failure) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { throw Failure(description: "\(path): cannot be written") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0,
            rename(temporary, path) == 0
        else { throw Failure(description: "\(path): cannot be written") }
    }

    private func read(_ path: String) throws(Failure) -> [String] {
        do {
            return try Paths.secret(path).split(whereSeparator: { $0.isWhitespace }).map(String.init)
        } catch { throw Failure(description: error.expected) }
    }

    private func key(_ parts: [String], _ path: String) throws(Failure) -> Ed25519.SigningKey {
        guard parts[0] == "ed25519", let seed = Base64.decode(parts[2]), let key = try? Ed25519.SigningKey(seed: seed),
            !parts[1].isEmpty,
            parts[1].utf8.allSatisfy({
                $0 == 0x5F || Character(UnicodeScalar($0)).isLetter || Character(UnicodeScalar($0)).isNumber
            })
        else { throw Failure(description: "\(path): expected ed25519 VERSION SEED") }
        return key
    }

    private func refuseIfOthersCanRead(_ path: String) throws(Failure) {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let mode = attributes[.posixPermissions] as? Int
        else { throw Failure(description: "\(path): cannot be read") }
        guard mode & 0o077 == 0 else {
            throw Failure(description: "\(path): others can read it; chmod 600 it")
        }
    }
}
