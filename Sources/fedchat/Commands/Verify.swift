import ArgumentParser
import Cryptography
import Foundation
import MatrixModel

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Verify somebody, or another device of yours, by comparing emoji or by a QR code.",
        discussion: """
            Without USER your other devices are asked. Compare over a call or in person, not in the room. \
            With --json each step is one line, and standard input answers: {"match": true} or {"match": false}; the step \
            "interrupted" tells of a verification that was under way when the background process ended: begin it anew. \
            Somebody's request that waits already is taken instead of asking them. \
            Ends with 4 if the verification fails, with 124 if it takes more than ten minutes.
            """)
    @OptionGroup var options: CommonOptions

    @Argument(help: "@user:server; your own other devices if left out.")
    var user: String?

    @Option(help: "This device, of yours or of USER.")
    var device: String?

    @Flag(help: "Wait for a request (of USER, if given), and accept it.")
    var incoming = false

    @Option(name: .customLong("yes-if"), help: "They match if this file holds the three numbers; it is waited for.")
    var yesIf: String?

    @Flag(
        name: .customLong("qr"),
        help: "Show a QR code instead of comparing, drawn where there is a terminal, and in base64.")
    var showsQR = false

    @Option(name: .customLong("scan"), help: "Read the bytes of the other side's QR code from this file, in base64.")
    var scanFile: String?

    func validate() throws {
        guard !incoming || device == nil else { throw ValidationError("--device is for asking, not for --incoming.") }
        guard !showsQR || scanFile == nil else { throw ValidationError("Either --qr or --scan.") }
    }

    func run() throws {
        let profile = try options.begin()
        if let user, (try? UserID(user)) == nil { throw Failure("not a user: \(user)", Failure.Status.usage) }
        let answers = VerificationAnswers(profile: profile, json: options.json, numbersFile: yesIf)
        var refusal: Failure?
        let answer = try DaemonClient.connect(profile).ask(
            "verify",
            .fields([
                "user": user.map { .string($0) }, "device": device.map { .string($0) }, "incoming": .bool(incoming),
            ])
        ) { step in
            let isCode = step["step"]?.string == "qr"
            options.show(step, isCode ? drawn(step) : text(of: step), isDrawn: isCode)
            do {
                try react(to: step, answers)
            } catch {
                refusal = Failure(error)
                try? answers.say("cancel", step)
            }
        }
        if let refusal { throw refusal }
        guard answer["verified"]?.bool == true else {
            let code = answer["code"]?.string ?? ""
            throw Failure(
                "not verified: \(answer["reason"]?.string ?? code)",
                code == "m.timeout" ? Failure.Status.timeout : Failure.Status.untrustedKey)
        }
    }

    private func text(of step: JSONValue) -> String {
        func word(_ key: String) -> String { Output.name(step[key]?.string ?? "") }
        switch step["step"]?.string {
        case "interrupted":
            return """
                the verification with \(word("user_id")) that was under way when the background process ended \
                was cancelled
                """
        case "asked": return "asked \(word("user_id")); waiting for the answer"
        case "requested": return "\(word("user_id")) asks from \(word("device_id"))"
        case "ready": return "\(word("user_id")) is ready on \(word("device_id"))"
        case "compare":
            let emoji = step["emoji"]?.elements.map { "\($0["symbol"]?.string ?? "") \($0["name"]?.string ?? "")" }
            let numbers = step["decimal"]?.elements.compactMap(\.integer).map(String.init)
            return "\(emoji?.joined(separator: "   ") ?? "")\n\(numbers?.joined(separator: " ") ?? "")"
        case "confirm_scan": return "the other side says that it scanned the code"
        case "verified":
            let effects = step["effects"]?.elements.compactMap(\.string) ?? []
            return effects.contains("identity") || effects.contains("own_identity") || effects.contains("own_device")
                ? "verified" : "the keys match, but this device cannot sign: it is remembered on this device only"
        case "done": return "done"
        case "cancelled": return "cancelled: \(word("reason"))"
        default: return ""
        }
    }

    /// The code drawn, where there is a terminal, and as text for those who cannot scan: another fedchat, say.
    private func drawn(_ step: JSONValue) -> String {
        let text = step["qr"]?.string ?? ""
        guard isatty(STDOUT_FILENO) == 1, let drawing = Base64.decode(text).flatMap({ QRDrawing($0) }) else {
            return text
        }
        return "scan this:\n\n\(drawing.lines.joined(separator: "\n"))\n\nor give it as text:\n\(text)"
    }

    private func react(to step: JSONValue, _ answers: VerificationAnswers) throws {
        switch step["step"]?.string {
        case "requested": try answers.say("accept", step)
        case "ready":
            if showsQR {
                try answers.say("qr", step)
            } else if let scanFile {
                try answers.say("scan", step, try answers.awaited(scanFile))
            } else if !incoming {
                try answers.say("sas", step)
            }
        case "compare", "confirm_scan": answers.answer(step)
        default: return
        }
    }
}
