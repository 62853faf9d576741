internal import ClientEncryption
internal import Cryptography
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// Room keys in files under a passphrase, as other clients read and write them.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-exports>
extension Client {
    /// All room keys of this device, as a file's text, and how many.
    public func exportKeys(passphrase: String) async throws -> (file: String, count: Int) {
        let machine = machine
        let (json, count) = try await database.read { try machine.exportedRoomKeys(in: $0) }
        return (try KeyExport.seal(json, passphrase: passphrase, random: random), count)
    }

    /// Takes a file's keys in. Throws `encryption(.wrongRecoveryKey)` for another passphrase, `usage` for something that is
    /// no key file.
    /// - Returns: how many sessions it holds, and of how many more can be read than before.
    public func importKeys(_ file: String, passphrase: String) async throws -> (count: Int, new: Int) {
        let machine = machine
        let json: [UInt8]
        do {
            json = try KeyExport.open(file, passphrase: passphrase)
        } catch RatchetError.cannotOpen {
            throw ClientError.encryption(.wrongRecoveryKey)
        } catch {
            throw ClientError.usage("not a file of exported keys: \(error)")
        }
        let (count, keys) = try await database.write { try machine.importRoomKeys(file: json, in: $0) }
        announce(keys)
        upkeep.continuation.yield()
        return (count, keys.count)
    }
}
