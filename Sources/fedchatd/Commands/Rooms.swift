import ArgumentParser
import Foundation
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase

/// `fedchatd rooms`
struct Rooms: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks into rooms of the server's database, and removes what is old or not wanted.",
        subcommands: [
            List.self, Check.self, Graph.self, PurgeHistory.self, Delete.self, Block.self, Unblock.self,
        ])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Works a room out anew from its events and says what differs.",
            discussion: """
                Verifies hashes, signatures, authorization, the state after each event, and the room's newest events, \
                current state and members. Changes nothing. Exit status: 0 all agrees, 2 something differs.
                """)
        @Argument(help: "The room's id or alias.") var room: String
        @OptionGroup var options: ConfigurationOption
        @Flag(help: "Prints one JSON object.") var json = false
        @Option(help: "How many differences are told, at most 1000.") var show = 50

        mutating func run() async throws {
            let (room, json, show) = (room, json, show)
            let agrees = try await Rooms.on(options, room) { environment, id in
                guard let report = try await RoomCheck(environment).check(id) else { throw Rooms.unknown(room) }
                print(json ? report.json(show) : report.text(show))
                return report.agrees
            }
            if !agrees { throw ExitCode(2) }
        }
    }

    struct Graph: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Draws the newest events of a room, what they build on, and its state.",
            discussion: "Shows ids, types, senders and state keys; never content.")
        @Argument(help: "The room's id or alias.") var room: String
        @OptionGroup var options: ConfigurationOption
        @Option(help: "svg or dot.") var format: Format = .svg
        @Option(help: "How many events, at most \(RoomGraph.maximumEvents).") var limit = 200
        @Flag(help: "Draws auth events too (dot only).") var auth = false
        @Option(help: "The file to write; without it, standard output.") var output: String?

        enum Format: String, ExpressibleByArgument { case svg, dot }

        mutating func run() async throws {
            let (room, format, limit, auth, output) = (room, format, limit, auth, output)
            guard (1...RoomGraph.maximumEvents).contains(limit) else {
                throw ExitWith.configuration("--limit: expected 1 to \(RoomGraph.maximumEvents)")
            }
            try await Rooms.on(options, room) { environment, id in
                guard let graph = try await RoomGraph.read(id, limit: limit, environment) else {
                    throw Rooms.unknown(room)
                }
                let text = format == .svg ? graph.svg() : graph.dot(auth: auth)
                guard let output else { return print(text, terminator: "") }
                do { try Data(text.utf8).write(to: URL(fileURLWithPath: output)) } catch {
                    throw ExitWith.configuration("\(output): cannot be written")
                }
            }
        }
    }

    private static func unknown(_ room: String) -> ExitWith { .configuration("\(room): no such room here") }

    static func on<Result>(
        _ options: ConfigurationOption, _ room: String, _ work: (Environment, RoomID) async throws -> Result
    ) async throws -> Result {
        try await on(options) { environment in try await work(environment, try await id(room, environment.database)) }
    }

    static func on<Result>(
        _ options: ConfigurationOption, _ work: (Environment) async throws -> Result
    ) async throws -> Result {
        let loaded = try options.load()
        let database = try await Wiring.database(loaded)
        do {
            let result = try await work(try Wiring.environment(loaded, database))
            await database.close()
            return result
        } catch {
            await database.close()
            throw error
        }
    }

    private static func id(_ text: String, _ database: any Database) async throws -> RoomID {
        if let alias = try? RoomAlias(text) {
            guard let id = try await database.read({ try AliasStore($0).target(of: alias)?.room }) else {
                throw unknown(text)
            }
            return id
        }
        guard let id = try? RoomID(text) else {
            throw ExitWith.configuration("\(text): expected a room id or an alias")
        }
        return id
    }
}

extension RoomCheckReport {
    /// What was found, for a person.
    fileprivate func text(_ show: Int) -> String {
        var lines = [
            "\(room.text), version \(version.text)",
            "\(events) events: \(inTimeline) in the timeline, \(stateEvents) state, \(outliers) known only as part of a "
                + "state, \(rejected) rejected, \(softFailed) soft-failed, \(redacted) redacted",
        ]
        if resolutions > 0 { lines.append("\(resolutions) states were resolved from forks") }
        if toldStates > 0 { lines.append("\(toldStates) states are as another server told them") }
        if redactedOnReceipt > 0 { lines.append("\(redactedOnReceipt) events came with a wrong hash, and are bare") }
        if partial > 0 { lines.append("\(partial) events wait for the room's members to be known") }
        if unjudged > 0 { lines.append("\(unjudged) events could not be judged, since others are damaged") }
        if following > 0 { lines.append("\(following) events follow one whose state differs") }
        guard !agrees else { return (lines + ["all agrees"]).joined(separator: "\n") }
        let total = counts.values.reduce(0, +)
        lines.append("\(total) differences:")
        for difference in differences.prefix(max(0, show)) {
            lines.append(
                "  \(difference.kind.rawValue) \(difference.event?.text ?? "the room"): \(difference.detail)")
        }
        if total > differences.prefix(max(0, show)).count {
            let all = counts.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key.rawValue) \($0.value)" }
            lines.append("  … in all: " + all.joined(separator: ", "))
        }
        return lines.joined(separator: "\n")
    }

    /// What was found, for a program.
    fileprivate func json(_ show: Int) -> String {
        let numbers: [(String, Int)] = [
            ("events", events), ("in_timeline", inTimeline), ("state_events", stateEvents), ("outliers", outliers),
            ("rejected", rejected), ("soft_failed", softFailed), ("redacted", redacted),
            ("redacted_on_receipt", redactedOnReceipt), ("told_states", toldStates), ("resolutions", resolutions),
            ("following", following), ("unjudged", unjudged), ("partial", partial),
        ]
        var object: [String: JSONValue] = [
            "v": 1, "room_id": .string(room.text), "version": .string(version.text), "agrees": .bool(agrees),
            "counts": .object(
                Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, .integer(Int64($0.value))) })),
            "differences": .array(
                differences.prefix(max(0, show)).map { difference in
                    var entry: [String: JSONValue] = [
                        "kind": .string(difference.kind.rawValue), "detail": .string(difference.detail),
                    ]
                    if let event = difference.event { entry["event_id"] = .string(event.text) }
                    return .object(entry)
                }),
        ]
        for (name, number) in numbers { object[name] = .integer(Int64(number)) }
        return String(decoding: JSONValue.object(object).serialized(), as: UTF8.self)
    }
}
