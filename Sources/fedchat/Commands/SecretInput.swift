import ArgumentParser
import Foundation

/// A secret from a file, standard input or the terminal: never from an argument.
enum SecretInput {
    /// Of an option that names such a file.
    static func help(_ secret: String) -> ArgumentHelp {
        "A file (mode 0600) with \(secret); \"-\" for standard input."
    }

    /// The secret of `file`, where "-" is the first line of standard input; asked for on the terminal if there is none.
    static func read(_ file: String?, _ prompt: String) throws -> String {
        switch file {
        case "-":
            guard let line = readLine(strippingNewline: true), !line.isEmpty, line.utf8.count <= 4096 else {
                throw Failure("standard input holds no secret", Failure.Status.usage)
            }
            return line
        case let file?: return try PrivateFile.secret(file)
        case nil: return try ask(prompt)
        }
    }

    private static func ask(_ prompt: String) throws -> String {
        guard let answer = getpass("\(prompt): ").map({ String(cString: $0) }), !answer.isEmpty else {
            throw Failure(
                "\(prompt): give it in a file (mode 0600), on standard input, or at a terminal", Failure.Status.usage)
        }
        return answer
    }
}
