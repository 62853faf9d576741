import ArgumentParser
import Foundation
import MatrixModel

struct Download: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fetch the file of a message, decrypted.",
        discussion: "A file that is not the one that was sent is refused: 9, and nothing is written.")
    @OptionGroup var options: CommonOptions

    @Argument(help: roomHelp)
    var room: String

    @Argument(help: "The message's event id.")
    var event: String

    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: "Where to write it; the sender's name for it if left out.")
    var output: String?

    func run() throws {
        guard (try? EventID(event)) != nil else { throw Failure("not an event id: \(event)", Failure.Status.usage) }
        let answer = try DaemonClient.connect(try options.begin()).ask(
            "download",
            .fields([
                "room": .string(room), "event": .string(event), "file": output.map { .string(Keys.absolute($0)) },
                "folder": .string(FileManager.default.currentDirectoryPath),
            ]))
        options.show(answer, Output.name(answer["file"]?.string ?? ""))
    }
}
