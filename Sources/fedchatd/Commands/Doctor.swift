import ArgumentParser
import Homeserver

/// `fedchatd doctor`
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks the set-up from the outside in, and says how to mend what is wrong.",
        discussion: """
            Looks at names, DNS, .well-known, how other servers and clients reach this one, ports, certificates, the clock, \
            the database, key files, disks and the mail server. Changes nothing. Run it while the server runs. Exit status: 0 no problem, \
            1 a problem of the set-up, 3 something is not reachable.
            """)

    @OptionGroup var options: ConfigurationOption

    mutating func run() async throws {
        let loaded = try options.load()
        var findings: [Finding] = []
        func tell(_ found: [Finding]) {
            for finding in found { print(finding.lines) }
            findings += found
        }
        let outside = try OutsideChecks(loaded)
        tell(outside.names())
        tell(await outside.addresses())
        tell(await outside.wellKnown())
        tell(await outside.federation())
        tell(await outside.clients())
        tell(await outside.mail())
        let inside = InsideChecks(loaded)
        tell(await inside.ports())
        tell(inside.certificates(now: outside.clock.now()))
        tell(await inside.database(now: outside.clock.now()))
        tell(inside.keys())
        tell(inside.disks())
        tell(inside.programs())
        let problems = findings.filter { $0.level == .problem }
        let warnings = findings.count(where: { $0.level == .warning })
        print("\(problems.count) problems, \(warnings) warnings")
        guard let first = problems.first else { return }
        throw ExitCode(first.area.isReachability ? 3 : 1)
    }
}
