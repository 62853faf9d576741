import ArgumentParser
import Foundation

/// Runs a command and maps its failures to the exit statuses of the contract.
@main
enum Main {
    static func main() async {
        do {
            var command = try Fedchatd.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch let error as ExitWith {
            end(error.message, error.status)
        } catch let error as ConfigurationError {
            end("\(error)", 1)
        } catch let error as SigningKeyFiles.Failure {
            end("\(error)", 1)
        } catch {
            let code = Fedchatd.exitCode(for: error)
            if code == .success {
                print(Fedchatd.fullMessage(for: error))
                exit(0)
            }
            if code == .validationFailure { end(Fedchatd.fullMessage(for: error), 1) }
            end("fedchatd: \(error)", 2)
        }
    }

    private static func end(_ message: String, _ status: Int32) -> Never {
        FileHandle.standardError.write(Data((message + "\n").utf8))
        exit(status)
    }
}
