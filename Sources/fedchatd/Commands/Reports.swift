import ArgumentParser
import Foundation
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase

/// `fedchatd reports`
struct Reports: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what users reported: rooms, events, users.",
        subcommands: [List.self, Show.self, Dismiss.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Prints the reports, the newest first, one a line.")
        @OptionGroup var options: ConfigurationOption
        @Option(help: "How many, at most.") var limit = 100

        mutating func run() async throws {
            let limit = limit
            guard (1...10_000).contains(limit) else { throw ExitWith.configuration("--limit: expected 1 to 10000") }
            try await Rooms.on(options) { environment in
                let sealer = environment.sealer
                for report in try await environment.database.read({ try ReportStore($0, sealer).list(limit: limit) }) {
                    print("\(report.nid) \(Reports.time(report.created)) \(report.reporter) \(Reports.target(report))")
                }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints a report with its reason, and the event that was reported.")
        @Argument(help: "The report's number.") var number: Int64
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let number = number
            try await Rooms.on(options) { environment in
                let sealer = environment.sealer
                let found = try await environment.database.read { connection in
                    let report = try ReportStore(connection, sealer).report(number)
                    return (report, try report?.event.flatMap { try EventLog(connection, sealer).event($0) })
                }
                guard let report = found.0 else { throw Reports.unknown(number) }
                print("time      \(Reports.time(report.created))")
                print("reporter  \(report.reporter)")
                print("reported  \(Reports.target(report))")
                print("reason    \(report.reason)")
                if let event = found.1 { print(String(decoding: event.pdu.canonicalJSON, as: UTF8.self)) }
            }
        }
    }

    struct Dismiss: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Deletes a report.")
        @Argument(help: "The report's number.") var number: Int64
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let number = number
            try await Rooms.on(options) { environment in
                let sealer = environment.sealer
                let wasThere = try await environment.database.write { try ReportStore($0, sealer).dismiss(number) }
                guard wasThere else { throw Reports.unknown(number) }
            }
        }
    }

    private static func unknown(_ number: Int64) -> ExitWith { .configuration("there is no report \(number)") }

    private static func time(_ milliseconds: Int64) -> String {
        ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: Double(milliseconds) / 1000))
    }

    private static func target(_ report: ReportStore.Report) -> String {
        if let event = report.event { return "event \(event) in \(report.room?.text ?? "?")" }
        if let room = report.room { return "room \(room)" }
        return "user \(report.user?.text ?? "?")"
    }
}
