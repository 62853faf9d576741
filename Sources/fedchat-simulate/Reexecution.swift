import Glibc

/// Dictionaries are walked in an order that Swift chooses anew in each process, unless it is told not to.
enum Reexecution {
    private static let variable = "SWIFT_DETERMINISTIC_HASHING"

    /// Starts this program again with the same arguments, if need be. Returns in the process that is as it should be.
    static func withDeterministicHashing() {
        guard getenv(variable) == nil else { return }
        setenv(variable, "1", 1)
        var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) }
        arguments.append(nil)
        execv("/proc/self/exe", arguments)
        perror("cannot start again with \(variable)=1")
        exit(2)
    }
}
