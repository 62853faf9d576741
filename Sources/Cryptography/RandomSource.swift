private import CSodium

/// Where random bytes come from: the system, or a seed in tests and simulations.
public protocol RandomSource: Sendable {
    /// Exactly `count` bytes.
    func bytes(_ count: Int) -> [UInt8]
}

extension RandomSource {
    /// `count` characters, six random bits each, of the URL-safe base64 alphabet.
    public func token(_ count: Int) -> String {
        String(Base64.encode(bytes((count * 3 + 3) / 4), .urlSafeUnpadded).prefix(count))
    }
}

/// The system's randomness through libsodium.
public struct SystemRandomSource: RandomSource {
    /// All instances are alike.
    public init() {}

    /// Exactly `count` unpredictable bytes.
    public func bytes(_ count: Int) -> [UInt8] {
        Sodium.start()
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            if count > 0, let start = buffer.baseAddress { randombytes_buf(start, count) }
            initialized = count
        }
    }
}
