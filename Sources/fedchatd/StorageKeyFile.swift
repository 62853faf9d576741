import Cryptography
import Foundation
import HomeserverStorage

/// Reads `storage_key_file`: one key a line, `ID:unpadded-base64` of 32 bytes; the first seals, all open.
enum StorageKeyFile {
    static func keys(_ path: String) throws(SigningKeyFiles.Failure) -> [(id: String, key: [UInt8])] {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let mode = attributes[.posixPermissions] as? Int
        else { throw SigningKeyFiles.Failure(description: "\(path): cannot be read") }
        guard mode & 0o077 == 0 else {
            throw SigningKeyFiles.Failure(description: "\(path): others can read it; chmod 600 it")
        }
        let text: String
        do { text = try Paths.secret(path) } catch { throw SigningKeyFiles.Failure(description: error.expected) }
        var keys: [(id: String, key: [UInt8])] = []
        for (number, line) in text.split(whereSeparator: \.isNewline).enumerated() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, let key = Base64.decode(String(parts[1])), key.count == 32,
                (1...32).contains(parts[0].utf8.count), !keys.contains(where: { $0.id == parts[0] })
            else {
                throw SigningKeyFiles.Failure(
                    description: "\(path): line \(number + 1): expected ID:base64 of 32 bytes, each id once")
            }
            keys.append((String(parts[0]), key))
        }
        return keys
    }
}
