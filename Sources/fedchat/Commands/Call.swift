import ArgumentParser
import FedchatKit
import Foundation
import MatrixModel

struct Call: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Call a user, or the other one in a room.",
        discussion: """
            Only in rooms that are encrypted. While the call goes on, standard input takes the words hold, resume and \
            hangup; Ctrl-C hangs up. If the other side calls at the same time, one of the two calls goes on by itself, \
            but only if theirs comes from a device that they have cross-signed; another rings, and the word answer takes \
            it instead of this one. With --json each line is one event of the call: calling, ringing, answering, \
            answered, connected, reconnecting, held, holding, muted, notice, ended.

            Exit status: 0 the call was made, or hung up; 7 rejected, or busy; 124 nobody answered; 3 no connection; \
            2 the media program failed; 130 Ctrl-C.
            """)
    @OptionGroup var options: CommonOptions
    @OptionGroup var media: MediaOptions

    @Argument(help: roomHelp)
    var room: String

    @Option(help: "Whom in the room, if there are several: nobody else can answer.")
    var to: String?

    func run() throws {
        let command = try media.command()
        if let to, (try? UserID(to)) == nil { throw Failure("not a user: \(to)", Failure.Status.usage) }
        let daemon = try DaemonClient.connect(try options.begin())
        let status = try CallLoop(options, daemon, mediaCommand: command).run(
            "call", .fields(["room": .string(room), "to": to.map { .string($0) }]))
        if status != 0 { Foundation.exit(status) }
    }
}
