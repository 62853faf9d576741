/// What this target refuses to go beyond.
enum Limits {
    /// Idle OpenSSL contexts kept per kind: more than the threads that hash at once.
    static let idleContexts = 32
    /// Bytes per call into OpenSSL, whose lengths are C ints.
    static let cipherChunk = 1 << 30
    /// RFC 5869: at most 255 blocks of output.
    static let hkdfOutput = 255 * 32
    /// PBKDF2 rounds: a minute's work; a foreign key file may ask for any 32-bit number.
    static let pbkdf2Rounds = 10_000_000
    /// libsodium's longest password string, with its terminating zero.
    static let passwordString = 128
    /// Bytes of a password worth hashing; longer ones only cost.
    static let passwordBytes = 4096
}
