/// The names of the hybrid of X25519 and ML-KEM-768, and when it is used: see spec/post-quantum.md.
public enum HybridAlgorithm {
    /// In `algorithms` of device keys, which the device signs, and in `algorithm` of encrypted events.
    public static let name = "org.fedchat.olm.v1.curve25519-mlkem768-aes-sha2"
    /// The key algorithm of signed encapsulation keys, one-time and fallback.
    public static let keyAlgorithm = "org.fedchat.signed_mlkem768"

    /// What a device's owner chose.
    public enum Policy: String, Sendable, CaseIterable {
        /// Not offered, and never begun: what is not chosen is so.
        case off
        /// Offered, and used with devices that offer it too.
        case offered
        /// As `offered`; and a device that offered it once is not written to without it.
        case kept
    }

    /// What to do for a device that must be written to.
    public enum Choice: Sendable, Hashable {
        /// Olm as the specification has it.
        case plain
        /// This algorithm.
        case hybrid
        /// Nothing: the device's offer is gone, or its server gives none of its keys. A person should know.
        case refused
    }

    /// Whether the bytes are an encapsulation key, as FIPS 203 checks it: of the right length, and its coefficients reduced.
    public static func isEncapsulationKey(_ bytes: [UInt8]) -> Bool { MLKEM.isPublicKey(bytes) }

    /// Which algorithm a new session to a device gets.
    ///
    /// - Parameters:
    ///   - theirAlgorithms: `algorithms` of the device keys, whose signature has been checked.
    ///   - hasKey: whether the server gave a signed encapsulation key of the device.
    ///   - offeredBefore: whether the same device was seen to offer it.
    public static func choice(
        _ policy: Policy, theirAlgorithms: some Sequence<String>, hasKey: Bool, offeredBefore: Bool
    ) -> Choice {
        guard policy != .off else { return .plain }
        let isOffered = theirAlgorithms.contains(name)
        if isOffered, hasKey { return .hybrid }
        return policy == .kept && (isOffered || offeredBefore) ? .refused : .plain
    }
}
