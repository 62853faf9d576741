import ArgumentParser
import Foundation
import MatrixModel

struct Send: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a message, and print its event id.",
        discussion: """
            New devices that their owner has not signed, and new identities, are told of on standard error, once, and with --json \
            also in notices.

            A message that cannot be sent now stays in the queue and goes out when the server is back. An encrypted \
            room with a user is made at the first message, if there is none with that user in it.

            Ends with 8 if it was sent, but there is somebody in the room none of whose devices could be given its key: their \
            server is away, say. They get the key as soon as they can be reached; with --json unreached names them.
            """)
    @OptionGroup var options: CommonOptions

    @Argument(help: roomHelp)
    var room: String

    @Option(name: [.customShort("m"), .customLong("message")], help: "The text.")
    var message: String?

    @Argument(help: "\"-\" reads the text from standard input.")
    var source: String?

    @Option(help: "A file to send, encrypted where the room is; at most 64 MiB.")
    var file: String?

    @Option(name: .customLong("type"), help: "What the file is, such as image/png; guessed from its name if left out.")
    var mediaType: String?

    @Option(help: "A small JPEG or PNG image for those who have not fetched the file.")
    var thumbnail: String?

    @Flag(help: "Send it as a notice, as programs do.")
    var notice = false

    func validate() throws {
        guard [message, source, file].compactMap({ $0 }).count == 1, source == nil || source == "-" else {
            throw ValidationError("Give the text with -m, \"-\" for standard input, or --file.")
        }
        guard file != nil || (mediaType == nil && thumbnail == nil) else {
            throw ValidationError("--type and --thumbnail go with --file.")
        }
    }

    func run() throws {
        let profile = try options.begin()
        if let file {
            let answer = try DaemonClient.connect(profile).askTelling(
                "send.file",
                .fields([
                    "room": .string(room), "file": .string(Keys.absolute(file)),
                    "type": mediaType.map { .string($0) }, "thumbnail": thumbnail.map { .string(Keys.absolute($0)) },
                ]))
            return try show(answer)
        }
        let text = try message ?? standardInput()
        guard !text.isEmpty else { throw Failure("there is no text", Failure.Status.usage) }
        let answer = try DaemonClient.connect(profile).askTelling(
            "send", ["room": .string(room), "body": .string(text), "msgtype": notice ? "m.notice" : "m.text"])
        try show(answer)
    }

    /// The message is sent, to some devices perhaps not as it ought to be.
    private func show(_ answer: JSONValue) throws {
        options.show(answer, answer["event_id"]?.string ?? "")
        for device in answer["downgraded"]?.elements ?? [] {
            let name = "\(device["user_id"]?.string ?? "")'s device \(device["device_id"]?.string ?? "")"
            Output.complain(
                """
                \(name) did not get this under post-quantum keys, as it ought to (\
                \(device["post_quantum"]?.string ?? "")): "devices" and "doctor" tell more
                """)
        }
        if let failure = Self.partialFailure(answer) { throw failure }
    }

    /// It is sent, and some can read it on none of their devices yet.
    static func partialFailure(_ answer: JSONValue) -> Failure? {
        let users = answer["unreached"]?.elements.compactMap(\.string) ?? []
        guard let first = users.first else { return nil }
        let who = users.count == 1 ? first : "\(first) and \(users.count - 1) more"
        return Failure(
            "sent, but \(who) cannot read it yet: none of their devices could be given its key, which follows",
            Failure.Status.partlySent)
    }

    private func standardInput() throws -> String {
        let bytes = FileHandle.standardInput.readDataToEndOfFile()
        guard bytes.count <= 60_000, let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure("standard input is no text of at most 60,000 bytes", Failure.Status.usage)
        }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
