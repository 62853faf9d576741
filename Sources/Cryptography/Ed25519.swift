private import CSodium

/// Ed25519 signatures, RFC 8032.
public enum Ed25519 {
    /// Bytes of a signature.
    public static let signatureSize = 64

    /// A key pair that signs. Its seed is wiped when the last copy goes.
    public struct SigningKey: Sendable, CustomStringConvertible {
        /// The other half, for all to see.
        public let publicKey: PublicKey
        /// Seed and public key, as libsodium keeps them.
        private let secret: SecretBytes

        /// The key of a 32-byte seed; else throws `wrongLength`.
        public init(seed: [UInt8]) throws(CryptographyError) {
            guard seed.count == 32 else { throw .wrongLength(expected: 32, found: seed.count) }
            self.init(checked: seed)
        }

        /// A new key.
        public static func generate(_ random: some RandomSource) -> SigningKey {
            let seed = random.bytes(32)
            precondition(seed.count == 32, "a random source gives what it is asked for")
            return SigningKey(checked: seed)
        }

        private init(checked seed: [UInt8]) {
            Sodium.start()
            var publicBytes = [UInt8](repeating: 0, count: 32)
            secret = SecretBytes(count: 64, placement: .heap) { secret in
                guard let start = secret.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
                crypto_sign_seed_keypair(&publicBytes, start, seed)
            }
            publicKey = PublicKey(checked: publicBytes)
        }

        /// The 32 bytes the key is made of, for key files and sealed rows only.
        public var seed: [UInt8] { secret.withBytes { [UInt8]($0.prefix(32)) } }

        /// The 64-byte signature of `message`; the same one each time.
        public func sign(_ message: [UInt8]) -> [UInt8] {
            var signature = [UInt8](repeating: 0, count: signatureSize)
            secret.withPointer { _ = crypto_sign_detached(&signature, nil, message, UInt64(message.count), $0) }
            return signature
        }

        /// The public half.
        public var description: String { "Ed25519 …(\(publicKey))" }
    }

    /// A key that verifies.
    public struct PublicKey: Sendable, Hashable, CustomStringConvertible {
        /// 32 bytes.
        public let bytes: [UInt8]

        /// Throws `wrongLength` unless there are 32 bytes. A point of low order is refused when it verifies.
        public init(_ bytes: [UInt8]) throws(CryptographyError) {
            guard bytes.count == 32 else { throw .wrongLength(expected: 32, found: bytes.count) }
            self.init(checked: bytes)
        }

        fileprivate init(checked bytes: [UInt8]) { self.bytes = bytes }

        /// Whether `signature` is this key's signature of `message`; false for odd lengths too.
        public func verifies(_ signature: some ContiguousBytes, of message: some ContiguousBytes) -> Bool {
            Sodium.start()
            return signature.withBytes { signature in
                message.withBytes { message in
                    guard signature.count == signatureSize, let signature = signature.baseAddress else { return false }
                    // An empty message has no address; none of its bytes is read.
                    let start = message.baseAddress ?? signature
                    return crypto_sign_verify_detached(
                        signature.assumingMemoryBound(to: UInt8.self), start.assumingMemoryBound(to: UInt8.self),
                        UInt64(message.count), bytes) == 0
                }
            }
        }

        /// Unpadded base64.
        public var description: String { Base64.encode(bytes) }
    }
}
