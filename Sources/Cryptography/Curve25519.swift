private import CSodium
internal import Synchronization

/// X25519 key agreement, RFC 7748.
public enum Curve25519 {
    /// The secret half of a pair, wiped when the last copy goes.
    public struct PrivateKey: Sendable, ContiguousBytes, CustomStringConvertible {
        private let secret: SecretBytes
        private let known = PublicHalf()

        /// The half to give away, made when it is first asked for: keys that are read from a pickle are many, and those used
        /// few.
        public var publicKey: PublicKey {
            known.value { PublicKey(checked: secret.withPointer { Curve25519Base.multiply($0) }) }
        }

        /// The key of 32 bytes; else throws `wrongLength`.
        public init(_ bytes: [UInt8]) throws(CryptographyError) {
            guard bytes.count == 32 else { throw .wrongLength(expected: 32, found: bytes.count) }
            self.init(checked: bytes)
        }

        /// A new key.
        public static func generate(_ random: some RandomSource) -> PrivateKey {
            var bytes = random.bytes(32)
            defer { wipe(&bytes) }
            precondition(bytes.count == 32, "a random source gives what it is asked for")
            return PrivateKey(checked: bytes)
        }

        private init(checked bytes: [UInt8]) {
            Sodium.start()
            secret = SecretBytes(bytes, placement: .pooled)
        }

        /// The 32 secret bytes, for pickles only.
        public var bytes: [UInt8] { secret.bytes }

        /// Lends the 32 secret bytes, for pickles only.
        public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { secret.withBytes(body) }

        /// The 32 bytes both sides share. Throws `refusedPublicKey` where they would be zero.
        public func sharedSecret(with other: PublicKey) throws(CryptographyError) -> [UInt8] {
            try agreement(with: other).bytes
        }

        /// As above, as a secret.
        public func agreement(with other: PublicKey) throws(CryptographyError) -> SecretBytes {
            var succeeded = false
            let shared = SecretBytes(count: 32, placement: .pooled) { output in
                guard let start = output.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
                let result = secret.withPointer { crypto_scalarmult_curve25519(start, $0, other.bytes) }
                succeeded = result == 0 && sodium_is_zero(start, output.count) == 0
            }
            guard succeeded else { throw .refusedPublicKey }
            return shared
        }

        /// The public half.
        public var description: String { "Curve25519 …(\(publicKey))" }
    }

    /// Keeps the public half once it is known.
    private final class PublicHalf: Sendable {
        private let kept = Mutex<PublicKey?>(nil)

        func value(_ make: () -> PublicKey) -> PublicKey {
            kept.withLock { kept in
                if let kept { return kept }
                let made = make()
                kept = made
                return made
            }
        }
    }

    /// The half that is given away.
    public struct PublicKey: Sendable, Hashable, CustomStringConvertible {
        /// 32 bytes.
        public let bytes: [UInt8]

        /// Throws `wrongLength` unless there are 32 bytes.
        public init(_ bytes: [UInt8]) throws(CryptographyError) {
            guard bytes.count == 32 else { throw .wrongLength(expected: 32, found: bytes.count) }
            self.init(checked: bytes)
        }

        /// Whether the bit that X25519 ignores is zero, as in every key that was made and not made up.
        public var isCanonical: Bool { bytes[31] & 0x80 == 0 }

        fileprivate init(checked bytes: [UInt8]) { self.bytes = bytes }

        /// Unpadded base64.
        public var description: String { Base64.encode(bytes) }
    }
}
