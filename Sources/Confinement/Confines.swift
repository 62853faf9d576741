private import CConfinement

/// What a program that works on a stranger's bytes may take and see. Whatever else it tries, it may not: no other file, no
/// network, no other process. See `spec/decisions/0019-thumbnails-in-a-sandbox.md`.
public struct Confines: Sendable {
    /// Processor time.
    public var seconds: Int
    /// Address space, bytes.
    public var memory: Int
    /// What it writes, bytes.
    public var output: Int
    /// Files open at once.
    public var openFiles: Int
    /// Files and folders it may read and run: what is its own.
    public var readable: [String]

    public init(seconds: Int, memory: Int, output: Int, openFiles: Int = 64, readable: [String] = Confines.system) {
        self.seconds = seconds
        self.memory = memory
        self.output = output
        self.openFiles = openFiles
        self.readable = readable
    }

    /// Where programs and libraries lie, and where nothing of a server's does.
    public static let system = [
        "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/libexec", "/usr/share", "/usr/local/bin",
        "/usr/local/lib", "/usr/local/share", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null",
        "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/devices/system/node",
    ]

    /// What the kernel offers to enforce it, beside limits: for the log at start.
    public static var means: (files: Bool, systemCalls: Bool) {
        (fedchat_landlock_version() > 0, fedchat_has_seccomp() != 0)
    }
}
