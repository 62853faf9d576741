import Foundation
import MatrixModel

/// What a person, a file or a program answers to the steps of `fedchat verify`.
struct VerificationAnswers: Sendable {
    let profile: Profile
    let json: Bool
    /// A file that holds the three numbers if they match.
    let numbersFile: String?

    /// Asks beside the steps that go on: the other side may give up while nobody has answered.
    func answer(_ step: JSONValue) {
        Thread.detachNewThread {
            do {
                try say(try matches(step) ? "yes" : "no", step)
            } catch {
                let failure = Failure(error)
                // Over already: its steps tell why.
                guard failure.status != Failure.Status.notFound else { return }
                Output.complain(failure.message)
                try? say("cancel", step)
                exit(failure.status)
            }
        }
    }

    /// Tells the process that owns the keys.
    func say(_ what: String, _ step: JSONValue, _ text: String? = nil) throws {
        try DaemonClient.connect(profile).ask(
            "verify.say",
            .fields([
                "verification": step["verification"], "say": .string(what), "text": text.map { .string($0) },
            ]))
    }

    /// The text of a file that may still have to be written.
    func awaited(_ path: String) throws -> String {
        let end = Date().addingTimeInterval(600)
        while Date() < end {
            if let bytes = FileManager.default.contents(atPath: path), bytes.count <= 65_536, bytes.contains(0x0A) {
                return String(decoding: bytes, as: UTF8.self)
            }
            usleep(100_000)
        }
        throw Failure("\(path) did not come", Failure.Status.timeout)
    }

    private func matches(_ step: JSONValue) throws -> Bool {
        if let numbersFile, step["step"]?.string == "compare" {
            let numbers = step["decimal"]?.elements.compactMap(\.integer) ?? []
            return try awaited(numbersFile).split { !$0.isNumber }.compactMap { Int64($0) } == numbers
        }
        if json {
            guard let line = readLine(), let answer = try? JSONValue.parse(Array(line.utf8)) else { return false }
            return answer["match"]?.bool == true
        }
        let question =
            step["step"]?.string == "compare"
            ? "Does the other side show the same? [yes/no] " : "Does the other side show success? [yes/no] "
        while true {
            FileHandle.standardError.write(Data(question.utf8))
            guard let line = readLine() else { return false }
            switch line.lowercased() {
            case "yes", "y": return true
            case "no", "n": return false
            default: continue
            }
        }
    }
}
