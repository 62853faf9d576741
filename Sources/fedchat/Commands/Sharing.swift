import ArgumentParser
import ClientEncryption
import MatrixModel

struct Sharing: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key-sharing",
        abstract: "Show or set which devices get the keys of your messages.",
        discussion: """
            all-devices: every device that the members' servers show. cross-signed-where-possible: devices that their \
            owner has verified; every device of people who have no cross-signing keys. cross-signed-devices: devices \
            that their owner has verified, no others. verified-users: only those of people whom you have verified.
            """)
    @OptionGroup var options: CommonOptions

    @Argument(help: "\(KeySharing.allCases.map(\.rawValue).joined(separator: ", ")); shown if left out.")
    var sharing: String?

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask(
            "sharing", .fields(["sharing": sharing.map { .string($0) }]))
        options.show(answer, answer["sharing"]?.string ?? "")
    }
}
