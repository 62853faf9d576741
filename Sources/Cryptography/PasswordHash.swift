private import CCrypt
private import CSodium

/// Hashed passwords as text: Argon2id of our own, and what `crypt` reads (bcrypt, yescrypt, SHA-crypt) for imported ones.
///
/// Both take tens of milliseconds on purpose: call them on a thread that may block.
public enum PasswordHash {
    /// What one Argon2id hash costs.
    public struct Cost: Sendable, Hashable {
        /// Passes over the memory.
        public var passes: Int
        /// Memory in KiB.
        public var memoryKiB: Int

        /// Any cost; `make` refuses what Argon2 cannot do.
        public init(passes: Int, memoryKiB: Int) {
            self.passes = passes
            self.memoryKiB = memoryKiB
        }

        /// Two passes over 19 MiB, OWASP's advice.
        public static let standard = Cost(passes: 2, memoryKiB: 19 * 1024)
        /// The least Argon2 takes: for tests.
        public static let minimal = Cost(passes: 1, memoryKiB: 8)
    }

    /// What a comparison found.
    public struct Verdict: Sendable, Equatable {
        /// Whether the password is the one that was hashed.
        public let matches: Bool
        /// Whether a matching password should now be hashed anew: another scheme or another cost.
        public let needsRehash: Bool

        /// A verdict of one's own, for tests.
        public init(matches: Bool, needsRehash: Bool) {
            self.matches = matches
            self.needsRehash = needsRehash
        }

        fileprivate static let no = Verdict(matches: false, needsRehash: false)
    }

    /// A PHC string `$argon2id$v=19$m=…,t=…,p=1$salt$hash`. Throws `outOfRange` for an impossible cost or a password
    /// over 4 KiB.
    public static func make(
        _ password: [UInt8], cost: Cost = .standard, random: some RandomSource
    ) throws(CryptographyError) -> String {
        Sodium.start()
        guard password.count <= Limits.passwordBytes, cost.passes > 0, cost.memoryKiB > 0,
            let passes = UInt64(exactly: cost.passes)
        else { throw .outOfRange }
        let (memory, overflow) = cost.memoryKiB.multipliedReportingOverflow(by: 1024)
        guard !overflow else { throw .outOfRange }
        let salt = random.bytes(16)
        guard salt.count == 16 else { throw .wrongLength(expected: 16, found: salt.count) }
        var hash = [UInt8](repeating: 0, count: 32)
        let result = crypto_pwhash(
            &hash, 32, characters(password), UInt64(password.count), salt, passes, memory,
            crypto_pwhash_alg_argon2id13())
        guard result == 0 else { throw .outOfRange }
        let saltText = Base64.encode(salt, .standardUnpadded)
        let hashText = Base64.encode(hash, .standardUnpadded)
        return "$argon2id$v=19$m=\(cost.memoryKiB),t=\(cost.passes),p=1$\(saltText)$\(hashText)"
    }

    /// Compares a password with what `make` or another server's `crypt` wrote; a scheme we do not know never matches.
    public static func verify(_ password: [UInt8], against text: String, cost: Cost = .standard) -> Verdict {
        Sodium.start()
        guard password.count <= Limits.passwordBytes, text.utf8.count < Limits.passwordString * 3 else { return .no }
        if text.hasPrefix("$argon2") { return verifyArgon2(password, text, cost) }
        // Without "$" crypt would fall back to DES, which reads eight characters.
        guard text.hasPrefix("$"), matchesCrypt(password, text) else { return .no }
        return Verdict(matches: true, needsRehash: true)
    }

    private static func verifyArgon2(_ password: [UInt8], _ text: String, _ cost: Cost) -> Verdict {
        var string = characters(Array(text.utf8))
        guard string.count < Limits.passwordString, !string.contains(0) else { return .no }
        string += Array(repeating: 0, count: Limits.passwordString - string.count)
        let result = crypto_pwhash_str_verify(string, characters(password), UInt64(password.count))
        guard result == 0 else { return .no }
        let current = "$argon2id$v=19$m=\(cost.memoryKiB),t=\(cost.passes),p=1$"
        return Verdict(matches: true, needsRehash: !text.hasPrefix(current))
    }

    private static func matchesCrypt(_ password: [UInt8], _ text: String) -> Bool {
        // C reads up to a zero, so "a\0b" would match "a".
        guard !password.contains(0), !text.utf8.contains(0) else { return false }
        let phrase = characters(password + [0])
        let size = MemoryLayout<crypt_data>.size
        return withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) { scratch in
            scratch.initializeMemory(as: UInt8.self, repeating: 0)
            defer { sodium_memzero(scratch.baseAddress, scratch.count) }
            guard let found = crypt_rn(phrase, text, scratch.baseAddress, Int32(size)) else { return false }
            let computed = Array(String(cString: found).utf8)
            return constantTimeEquals(computed, Array(text.utf8))
        }
    }

    private static func characters(_ bytes: [UInt8]) -> [CChar] { bytes.map { CChar(bitPattern: $0) } }
}
