import ArgumentParser
import MatrixModel

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the session, the server and the keys.",
        discussion: "Ends with 3 if a check fails. Nothing it prints is secret.")
    @OptionGroup var options: CommonOptions

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask("doctor")
        let checks = answer["checks"]?.elements ?? []
        for check in checks {
            let detail = check["detail"]?.string.map { ": \(Output.name($0))" } ?? ""
            options.show(
                check, "\(check["ok"]?.bool == true ? "ok  " : "FAIL")  \(check["check"]?.string ?? "")\(detail)")
        }
        if checks.contains(where: { $0["ok"]?.bool != true }) {
            throw Failure("a check failed", Failure.Status.server)
        }
    }
}
