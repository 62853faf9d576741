import ArgumentParser
import FedchatKit
import Foundation
import MatrixModel

struct Answer: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Wait for a call, and answer it.",
        discussion: """
            Answers the first call that rings, also one that rings already; calls in rooms that anybody may join ring only \
            if --room names them. While it rings with --ask, standard input takes the words answer and reject; in the call \
            hold, resume and hangup. Ctrl-C hangs up. With --json each line is one event: ringing, answering, connected, \
            reconnecting, held, holding, muted, notice, ended.

            Exit status: 0 the call was taken, hung up, or rejected by you; 7 taken by another device, or given up by the \
            caller; 3 no connection; 2 the media program failed; 124 nobody called within --timeout; 130 Ctrl-C.
            """)
    @OptionGroup var options: CommonOptions
    @OptionGroup var media: MediaOptions

    @Option(help: "Only calls in this room: an id, an alias, a part of its name, or @user:server.")
    var room: String?

    @Flag(help: "Say that it rings, and answer only when told to.")
    var ask = false

    @Flag(help: "Reject it, on all your devices.")
    var reject = false

    func validate() throws {
        guard !(ask && reject) else { throw ValidationError("--ask or --reject, not both.") }
    }

    func run() throws {
        let command = reject ? nil : try media.command()
        let daemon = try DaemonClient.connect(try options.begin())
        let manner: CallPurpose.Manner = reject ? .reject : ask ? .ask : .accept
        let status = try CallLoop(options, daemon, mediaCommand: command).run(
            "answer", .fields(["room": room.map { .string($0) }, "manner": .string(manner.rawValue)]))
        if status != 0 { Foundation.exit(status) }
    }
}
