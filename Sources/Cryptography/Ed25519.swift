private import CSodium

/// Ed25519 signatures, RFC 8032.
public enum Ed25519 {
    /// Bytes of a signature.
    public static let signatureSize = 64

    /// A key pair that signs. Its secrets are wiped when the last copy goes.
    public struct SigningKey: Sendable, CustomStringConvertible {
        /// The other half, for all to see.
        public let publicKey: PublicKey
        /// The scalar and the prefix of nonces, 32 bytes each: RFC 8032's hash of the seed.
        private let expanded: SecretBytes
        private let keptSeed: SecretBytes?

        /// The key of a 32-byte seed; else throws `wrongLength`.
        public init(seed: [UInt8]) throws(CryptographyError) {
            guard seed.count == 32 else { throw .wrongLength(expected: 32, found: seed.count) }
            self.init(checked: seed)
        }

        /// The key of 64 bytes that libolm keeps instead of a seed: scalar and prefix. Throws `wrongLength`, or
        /// `outOfRange` for a scalar that is not clamped.
        public init(expanded bytes: some ContiguousBytes) throws(CryptographyError) {
            let secret = SecretBytes(bytes, placement: .pooled)
            guard secret.count == 64 else { throw .wrongLength(expected: 64, found: secret.count) }
            let isClamped = secret.withBytes { $0[0] & 7 == 0 && $0[31] & 0xc0 == 0x40 }
            guard isClamped else { throw .outOfRange }
            self.init(expanded: secret, seed: nil)
        }

        /// A new key.
        public static func generate(_ random: some RandomSource) -> SigningKey {
            var seed = random.bytes(32)
            defer { wipe(&seed) }
            precondition(seed.count == 32, "a random source gives what it is asked for")
            return SigningKey(checked: seed)
        }

        private init(checked seed: [UInt8]) {
            let kept = SecretBytes(seed, placement: .pooled)
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            let expanded = SecretBytes(count: 64, placement: .pooled) { expanded in
                kept.withBytes { SHA512.hash($0, none, none, into: expanded) }
                expanded[0] &= 248
                expanded[31] = expanded[31] & 127 | 64
            }
            self.init(expanded: expanded, seed: kept)
        }

        private init(expanded: SecretBytes, seed: SecretBytes?) {
            Sodium.start()
            var publicBytes = [UInt8](repeating: 0, count: 32)
            expanded.withPointer { _ = crypto_scalarmult_ed25519_base_noclamp(&publicBytes, $0) }
            self.expanded = expanded
            keptSeed = seed
            publicKey = PublicKey(checked: publicBytes)
        }

        /// The 32 bytes the key is made of, for key files and sealed rows only. A key that came without them has its 64
        /// expanded ones here.
        public var seed: [UInt8] { (keptSeed ?? expanded).bytes }

        /// Lends what `seed` copies.
        public func withSeed<R>(_ body: (SecretBytes) -> R) -> R { body(keptSeed ?? expanded) }

        /// Whether the key came without its seed.
        public var isExpandedOnly: Bool { keptSeed == nil }

        /// The 64-byte signature of `message`; the same one each time.
        public func sign(_ message: [UInt8]) -> [UInt8] {
            [UInt8](unsafeUninitializedCapacity: signatureSize) { signature, count in
                message.withUnsafeBytes { sign($0, into: UnsafeMutableRawBufferPointer(signature)) }
                count = signatureSize
            }
        }

        /// RFC 8032, 5.1.6, from the expanded key.
        private func sign(_ message: UnsafeRawBufferPointer, into signature: UnsafeMutableRawBufferPointer) {
            // The long hash, its remainder as a scalar, and a product.
            withUnsafeTemporaryAllocation(byteCount: 64 + 32 + 32, alignment: 16) { scratch in
                defer { sodium_memzero(scratch.baseAddress, scratch.count) }
                let none = UnsafeRawBufferPointer(start: nil, count: 0)
                let long = UnsafeMutableRawBufferPointer(rebasing: scratch[..<64])
                guard let hash = long.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    let point = signature.baseAddress?.assumingMemoryBound(to: UInt8.self)
                else { return }
                let (scalar, product) = (hash + 64, hash + 96)
                expanded.withBytes { expanded in
                    SHA512.hash(.init(rebasing: expanded[32...]), message, none, into: long)
                }
                crypto_core_ed25519_scalar_reduce(scalar, hash)
                // It refuses the scalar 0 only, which nobody will meet.
                _ = crypto_scalarmult_ed25519_base_noclamp(point, scalar)
                publicKey.bytes.withUnsafeBytes { key in
                    SHA512.hash(.init(rebasing: UnsafeRawBufferPointer(signature)[..<32]), key, message, into: long)
                }
                crypto_core_ed25519_scalar_reduce(product, hash)
                expanded.withPointer { crypto_core_ed25519_scalar_mul(product, product, $0) }
                crypto_core_ed25519_scalar_add(point + 32, product, scalar)
            }
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
