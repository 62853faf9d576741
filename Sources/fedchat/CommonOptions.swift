import ArgumentParser
import FedchatKit
import Foundation
import MatrixModel

/// What every verb takes.
struct CommonOptions: ParsableArguments {
    @Flag(help: "Print JSON, one object a line.")
    var json = false

    @Option(help: "Which of several sessions of yours. (default: default)")
    var profile: String?

    @Option(name: .customLong("config-dir"), help: "One folder for all files, instead of the XDG ones.")
    var configFolder: String?

    @Option(help: "End with status 124 after so many seconds.")
    var timeout: Double?

    @Option(
        name: .customLong("ca-file"),
        help: "A PEM file with authorities to trust beside the system's. The session keeps it, until another is given.")
    var authorityFile: String?

    /// Starts the timer, and says which session is meant.
    func begin() throws -> Profile {
        signal(SIGINT) { _ in _exit(Failure.Status.interrupted) }
        signal(SIGTERM) { _ in _exit(128 + SIGTERM) }
        if let timeout {
            guard timeout > 0, timeout <= 31_536_000 else { throw Failure("--timeout is in seconds", 1) }
            signal(SIGALRM) { _ in _exit(Failure.Status.timeout) }
            var timer = itimerval()
            timer.it_value.tv_sec = Int(timeout)
            timer.it_value.tv_usec = max(Int((timeout - timeout.rounded(.down)) * 1_000_000), timeout < 1 ? 1 : 0)
            setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil)
        }
        return try Profile(
            name: profile, folder: configFolder, authorityFile: authorityFile,
            environment: ProcessInfo.processInfo.environment)
    }

    /// Prints one object, or what stands for it in plain text, in which nothing drives the terminal unless it `isDrawn`: ours
    /// alone.
    func show(_ value: JSONValue, _ text: @autoclosure () -> String, isDrawn: Bool = false) {
        if json {
            var versioned = value
            versioned["v"] = 1
            Output.line(versioned.serialized())
        } else {
            Output.line(Array((isDrawn ? text() : Output.plain(text())).utf8))
        }
    }
}

/// Standard output, a line at a time and at once.
enum Output {
    static func line(_ bytes: [UInt8]) {
        var rest = (bytes + [0x0A])[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            if written > 0 { rest = rest.dropFirst(written) } else if errno != EINTR { exit(0) }
        }
    }

    /// A line on standard error. Messages may quote servers, names of rooms and other people.
    static func complain(_ message: String) {
        FileHandle.standardError.write(Data("fedchat: \(name(message))\n".utf8))
    }

    /// Text of others without what could drive the terminal, or have what stands around it read in another order.
    static func plain(_ text: String) -> String { without(text) { $0 != "\n" && $0 != "\t" && isUnsafe($0) } }

    /// The same of what is one line's or one column's: a name cannot make another.
    static func name(_ text: String) -> String { without(text, isUnsafe) }

    /// The same of a message: what follows its first line is indented, so that it cannot pass for another's.
    static func body(_ text: String) -> String {
        plain(text.replacing("\r\n", with: "\n")).replacing("\n", with: "\n    ")
    }

    private static func without(_ text: String, _ isUnsafe: (Unicode.Scalar) -> Bool) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { isUnsafe($0) ? "\u{FFFD}" : $0 }))
    }

    /// Controls; separators of lines; and what opens or ends an embedding, override or isolate of the other direction. Marks of
    /// direction (U+200E, U+200F, U+061C) stay: they are letters without a shape, and end by themselves.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x202A...0x202E, 0x2066...0x206F: true
        default: [.control, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
        }
    }
}
