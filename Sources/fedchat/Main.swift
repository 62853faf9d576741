import ArgumentParser
import Foundation

/// Runs a command and maps its failures to the exit statuses of the contract.
@main
enum Main {
    static func main() async {
        umask(0o077)
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try Fedchat.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            end(failure.message, failure.status)
        } catch {
            let code = Fedchat.exitCode(for: error)
            if code == .success {
                print(Fedchat.fullMessage(for: error))
                exit(0)
            }
            if code == .validationFailure {
                // Lines of help: of nobody else.
                FileHandle.standardError.write(Data("fedchat: \(Output.plain(Fedchat.fullMessage(for: error)))\n".utf8))
                exit(Failure.Status.usage)
            }
            let failure = Failure(error)
            end(failure.message, failure.status)
        }
    }

    private static func end(_ message: String, _ status: Int32) -> Never {
        Output.complain(message)
        exit(status)
    }
}
