import ArgumentParser
import Foundation
import MatrixModel

struct Send: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a message, and print its event id.",
        discussion: """
            A message that cannot be sent now stays in the queue and goes out when the server is back. A direct room with \
            a user is made at the first message.
            """)
    @OptionGroup var options: CommonOptions

    @Argument(help: roomHelp)
    var room: String

    @Option(name: [.customShort("m"), .customLong("message")], help: "The text.")
    var message: String?

    @Argument(help: "\"-\" reads the text from standard input.")
    var source: String?

    @Flag(help: "Send it as a notice, as programs do.")
    var notice = false

    func validate() throws {
        guard (message == nil) != (source == nil), source == nil || source == "-" else {
            throw ValidationError("Give the text with -m, or \"-\" for standard input.")
        }
    }

    func run() throws {
        let profile = try options.begin()
        let text = try message ?? standardInput()
        guard !text.isEmpty else { throw Failure("there is no text", Failure.Status.usage) }
        let answer = try DaemonClient.connect(profile).ask(
            "send", ["room": .string(room), "body": .string(text), "msgtype": notice ? "m.notice" : "m.text"])
        options.show(answer, answer["event_id"]?.string ?? "")
    }

    private func standardInput() throws -> String {
        let bytes = FileHandle.standardInput.readDataToEndOfFile()
        guard bytes.count <= 60_000, let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure("standard input is no text of at most 60,000 bytes", Failure.Status.usage)
        }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
