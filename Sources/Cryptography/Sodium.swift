private import CSodium

/// libsodium, started once before its first use.
enum Sodium {
    private static let started: Bool = sodium_init() >= 0

    /// Ends the process if libsodium finds no randomness: nothing safe could follow.
    static func start() {
        guard started else { fatalError("libsodium cannot start") }
    }
}
