import ArgumentParser
import Foundation

/// What calling and answering have in common.
struct MediaOptions: ParsableArguments {
    @Option(
        help: """
            The program that has the media, as a shell's command: it is started for the call, and told by lines of JSON what \
            to do (spec/calls.md). (default: $FEDCHAT_MEDIA)
            """)
    var media: String?

    /// The command. Throws if none is given.
    func command() throws -> String {
        guard let command = media ?? ProcessInfo.processInfo.environment["FEDCHAT_MEDIA"], !command.isEmpty else {
            throw Failure("a media program is needed: --media COMMAND, or FEDCHAT_MEDIA", Failure.Status.usage)
        }
        return command
    }
}
