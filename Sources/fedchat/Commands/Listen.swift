import ArgumentParser
import Foundation
import MatrixModel

struct Listen: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a room's events as they come, decrypted.",
        discussion: """
            With --json each event is one object: the event with type and content in the clear, room_id, and encrypted; \
            undecryptable says why a message could not be read, which is printed once more if its key comes (fedchat why \
            explains it). sender_standing says how sure its sender is: verified, cross_signed, not_cross_signed (its owner's \
            server could have made the device), unknown_device or key_handed_on; in plain text the last three are told \
            after the sender's name. in_the_clear marks a message of an encrypted room that is not encrypted: the \
            homeserver could have written it. key_source and key_from say where the key was had. A line with notice (new_device, \
            new_identity) and without event_id tells of a device that its owner has not signed, or of an identity, that came up \
            after its owner was met; explanation and advice say what it means and what to do. In plain text such go to standard \
            error.
            """)
    @OptionGroup var options: CommonOptions

    @Argument(help: roomHelp)
    var room: String

    @Option(help: "\"start\" begins with the room's first event.")
    var since: String = "now"

    @Flag(name: .customLong("no-follow"), help: "End after the last event there is; 9 if one could not be decrypted.")
    var isBrief = false

    func validate() throws {
        guard ["now", "start"].contains(since) else { throw ValidationError("--since is \"start\" or \"now\".") }
    }

    func run() throws {
        let profile = try options.begin()
        let answer = try DaemonClient.connect(profile).ask(
            "listen", ["room": .string(room), "since": .string(since), "follow": .bool(!isBrief)],
            event: { event in
                let text = Self.text(event)
                if options.json || text != nil { options.show(event, text ?? "") }
            },
            notice: { notice in
                if options.json { options.show(notice, "") } else { DaemonClient.warn(notice) }
            })
        if answer["undecryptable"]?.bool == true {
            throw Failure("some messages could not be decrypted", Failure.Status.undecryptable)
        }
    }

    /// What is shown of an event where no JSON is wanted; nil for nothing.
    static func text(_ event: JSONValue) -> String? {
        let sender = Output.name(event["sender"]?.string ?? "")
        if let reason = event["undecryptable"]?.string {
            return "\(sender): (cannot be read: \(Output.name(reason)))"
        }
        guard event["type"]?.string == "m.room.message", let body = event["content", "body"]?.string else { return nil }
        return "\(sender)\(Output.name(doubt(event))): \(Output.body(body))"
    }

    /// What is not sure about the sender.
    static func doubt(_ event: JSONValue) -> String {
        if event["in_the_clear"]?.bool == true { return " (NOT ENCRYPTED)" }
        return switch event["sender_standing"]?.string {
        case "not_cross_signed": " (from a device that its owner has not verified)"
        case "unknown_device": " (from an unknown device)"
        case "key_handed_on": " (says \(event["key_from"]?.string ?? "a backup or a file"))"
        default: ""
        }
    }
}
