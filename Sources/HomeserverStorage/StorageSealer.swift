public import Cryptography

/// Seals content at rest (event bodies, to-device messages, account data, what waits to be judged or sent) with the keys
/// of `storage_key_file`.
///
/// A sealed value is a byte 1, the length of the key's id, the id, a nonce, the ciphertext; a plain one a byte 0 and the
/// bytes. Which row and column a value belongs to is authenticated with it, so values cannot be swapped.
public struct StorageSealer: Sendable, CustomStringConvertible {
    /// A key of the key file.
    public struct Key: Sendable, CustomStringConvertible {
        /// What the file calls it, at most 255 bytes.
        public let id: String
        fileprivate let bytes: [UInt8]

        /// Makes a key of 32 bytes; nil for another length or an id that is empty or too long.
        public init?(id: String, bytes: [UInt8]) {
            guard bytes.count == XChaCha20Poly1305.keySize, (1...255).contains(id.utf8.count) else { return nil }
            self.id = id
            self.bytes = bytes
        }

        /// Never the key.
        public var description: String { "…" }
    }

    /// Why a value cannot be opened.
    public enum Failure: Error, Sendable, Equatable {
        /// Its key is not in the key file (any more).
        case unknownKey(id: String)
        /// The value is damaged, or was moved here from another row.
        case damaged
    }

    private let keys: [Key]
    private let random: any RandomSource

    /// Seals nothing; opens plain values.
    public static let plain = StorageSealer(keys: [], random: SystemRandomSource())

    /// A sealer whose first key seals, while all open. Without keys, values are kept plain.
    public init(keys: [Key], random: any RandomSource) {
        self.keys = keys
        self.random = random
    }

    /// The id of the key that seals now; nil when values are kept plain.
    public var currentKeyID: String? { keys.first?.id }

    /// Never the keys.
    public var description: String { "…" }

    /// Seals `bytes` for the place that `context` names.
    /// - Throws: `Failure.damaged` when the random source fails.
    public func seal(_ bytes: [UInt8], context: String) throws(Failure) -> [UInt8] {
        guard let key = keys.first else { return [0] + bytes }
        do {
            let sealed = try XChaCha20Poly1305.seal(
                bytes, key: key.bytes, additionalData: Array(context.utf8), random: random)
            return [1, UInt8(truncatingIfNeeded: key.id.utf8.count)] + Array(key.id.utf8) + sealed
        } catch {
            throw .damaged
        }
    }

    /// Opens what `seal` made for the same context.
    public func open(_ value: [UInt8], context: String) throws(Failure) -> [UInt8] {
        switch value.first {
        case 0:
            return Array(value.dropFirst())
        case 1:
            guard value.count >= 2 else { throw .damaged }
            let rest = value.dropFirst(2)
            let length = Int(value[1])
            guard rest.count > length else { throw .damaged }
            let id = String(decoding: rest.prefix(length), as: UTF8.self)
            guard let key = keys.first(where: { $0.id == id }) else { throw .unknownKey(id: id) }
            do {
                return try XChaCha20Poly1305.open(
                    Array(rest.dropFirst(length)), key: key.bytes, additionalData: Array(context.utf8))
            } catch {
                throw .damaged
            }
        default:
            throw .damaged
        }
    }

    /// How every value begins that is sealed under the current key, or is plain where there is none.
    var currentMarker: [UInt8] {
        guard let current = keys.first else { return [0] }
        return [1, UInt8(truncatingIfNeeded: current.id.utf8.count)] + Array(current.id.utf8)
    }

    /// Whether a stored value was sealed with another key than the current one, or is plain though there is one.
    public func isStale(_ value: [UInt8]) -> Bool {
        !value.starts(with: currentMarker)
    }
}
