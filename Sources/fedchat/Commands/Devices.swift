import ArgumentParser
import Foundation
import MatrixModel

struct Devices: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List your devices, or another user's.")
    @OptionGroup var options: CommonOptions

    @Argument(help: "@user:server; yourself if left out.")
    var user: String?

    @Option(help: "Take the changed keys of this device of that user: only after they have confirmed them.")
    var accept: String?

    @Option(help: "Send nothing to this device of that user any more.")
    var block: String?

    @Option(help: "Send to this device again.")
    var unblock: String?

    func run() throws {
        if let user, (try? UserID(user)) == nil { throw Failure("not a user: \(user)", Failure.Status.usage) }
        let daemon = try DaemonClient.connect(try options.begin())
        if let accept {
            guard let user else { throw Failure("--accept needs the user", Failure.Status.usage) }
            try daemon.ask("accept", ["user": .string(user), "device": .string(accept)])
        }
        for (device, isBlocked) in [(block, true), (unblock, false)] {
            guard let device else { continue }
            guard let user else { throw Failure("--block and --unblock need the user", Failure.Status.usage) }
            try daemon.ask(
                "block", ["user": .string(user), "device": .string(device), "blocked": .bool(isBlocked)])
        }
        let answer = try daemon.ask("devices", .fields(["user": user.map { .string($0) }]))
        for device in answer["devices"]?.elements ?? [] {
            let notes = [
                device["own"]?.bool == true ? "this device" : nil,
                device["standing"]?.string.map { $0.replacingOccurrences(of: "_", with: " ") },
                device["changed"]?.bool == true ? "KEYS CHANGED" : nil,
                device["blocked"]?.bool == true ? "blocked" : nil,
                device["post_quantum"]?.string.map { "post-quantum \($0)" },
            ].compactMap { $0 }
            let parts = [
                device["device_id"]?.string ?? "", device["ed25519"]?.string ?? "no keys",
                device["display_name"]?.string ?? "", notes.joined(separator: ", "),
            ]
            options.show(device, parts.map(Output.name).joined(separator: "\t"))
        }
    }
}
