import Cryptography
import Foundation
private import Glibc
import Homeserver

/// The signing keys on disk: `signing.key` (0600 in a 0700 folder) and `retired/`, one file a key.
/// A file holds one line, `ed25519 VERSION SEED`, the seed in unpadded base64; a retired one also the time, in milliseconds.
struct SigningKeyFiles {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let path: String

    private var folder: String { Paths.parent(path) }
    private var retiredFolder: String { folder + "/retired" }

    /// The keys; a first one is made if there is none.
    func loadOrMake(_ random: some RandomSource) throws(Failure) -> SigningKeys {
        if !Paths.exists(path) { try make(random) }
        return try load()
    }

    func load() throws(Failure) -> SigningKeys {
        try refuseIfOthersCanRead(path)
        let parts = try read(path)
        guard parts.count == 3 else { throw Failure(description: "\(path): expected one line, ed25519 VERSION SEED") }
        let current = try key(parts, path)
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
        return SigningKeys(keyID: "ed25519:\(parts[1])", current: current, retired: retired)
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
        try make(random)
        return try load()
    }

    private func make(_ random: some RandomSource) throws(Failure) {
        try makeFolder(folder)
        let key = Ed25519.SigningKey.generate(random)
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        let version = "a_" + String(random.bytes(6).map { letters[Int($0) % letters.count] })
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
