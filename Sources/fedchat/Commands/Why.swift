import ArgumentParser
import MatrixModel

struct Why: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explain why an event cannot be read, and what would heal it.",
        discussion: """
            Ends with 0 if the event can be read (now), 9 if it cannot. With --json the cause is a word: no_room_key, \
            withheld (code says why), historical, not_member, unknown_index, session_replaced, sender_device_unknown, \
            replayed, bad_signature, wrong_sender, malformed, unsupported_algorithm.
            """)
    @OptionGroup var options: CommonOptions

    @Argument(help: "The event's id.")
    var event: String

    @Option(help: "The room it is in, if this device has not tried to read it yet.")
    var room: String?

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask(
            "why", .fields(["event": .string(event), "room": room.map { .string($0) }]))
        options.show(answer, Self.text(answer))
        if answer["undecryptable"] != nil {
            throw Failure("the event cannot be read", Failure.Status.undecryptable)
        }
    }

    private static func text(_ answer: JSONValue) -> String {
        guard answer["undecryptable"] != nil else { return readable(answer) }
        let remedies = (answer["remedies"]?.elements ?? []).compactMap { $0.string.flatMap(remedy) }
        let answered = answer["other_devices_answered"]?.string.map { ["Your other devices answered \($0)."] } ?? []
        let lines = ["It cannot be read: \(Output.name(answer["explanation"]?.string ?? ""))."] + answered + remedies
        return (remedies.isEmpty ? lines + ["Nothing can heal it."] : lines).joined(separator: "\n")
    }

    private static func readable(_ answer: JSONValue) -> String {
        guard answer["encrypted"]?.bool == true else { return "It is not encrypted." }
        let standing =
            switch answer["sender_standing"]?.string {
            case "verified": "written by a device whose owner is verified"
            case "cross_signed": "written by a device that its owner has verified"
            case "not_cross_signed": "written by a device that its owner has not verified"
            case "unknown_device": "written by a device that its owner's server does not show"
            default: "its key was handed on by \(answer["key_from"]?.string ?? "a backup or a file")"
            }
        return "It can be read: \(standing)."
    }

    private static func remedy(_ name: String) -> String? {
        switch name {
        case "wait": "Nothing need be done: the key is taken when it comes."
        case "other_devices_asked": "Your other devices have been asked for the key."
        case "verify_this_device": "Verify this device: then your other devices can be asked for the key."
        case "open_backup": "The key may be in your backup: give this device its recovery key."
        case "backup_asked": "The backup is asked for the key."
        case "ask_sender": "A new channel has been made: the sender can send it again."
        default: nil
        }
    }
}
