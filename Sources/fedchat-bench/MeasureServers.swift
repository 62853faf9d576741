import ArgumentParser
import Foundation
import MatrixModel

/// Measures one homeserver, or several in turns, through the client API.
struct MeasureServers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "servers",
        abstract: "Measure homeservers on this machine through their client API, in turns.",
        discussion: """
            The servers are described by a file of JSON, a list of objects: name, url (http://127.0.0.1:8008), secret (for \
            registration), and if they are known pid (for memory and CPU), data (the database's file or folder) or size (a \
            command that prints its bytes), start (a command that starts the server, which is ended at the end), and peer, \
            an object of url, secret and pid: a server of the same kind that federates with it.

            The servers need registration by shared secret and no rate limits. Everything is bounded in time and number. \
            Each scenario runs on one server after the other, and the table says how many times better the first one is \
            than the others.
            """)

    @Argument(help: "The file that describes the servers.")
    var servers: String

    @Option(
        help: "Only these scenarios, separated by commas: \(Scenario.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var only: String?

    @Option(help: "Seconds of each measurement of throughput.")
    var seconds = 5

    @Option(help: "Members of the large room.")
    var members = 1_000

    @Option(help: "Messages sent into the room that grows.")
    var messages = 2_000

    @Option(help: "State changes in the room that grows.")
    var changes = 1_000

    @Option(help: "Rooms of the initial sync.")
    var rooms = 500

    @Option(help: "Rooms of a user who has many, beside --rooms.")
    var manyRooms = 2_000

    @Option(help: "Messages in the room that is paged through and searched.")
    var searched = 10_000

    @Option(help: "Syncs that wait at once.")
    var polls = 1_000

    @Option(help: "How often everything is measured; the median counts.")
    var rounds = 1

    @Flag(help: "Write JSON instead of a table.")
    var json = false

    func validate() throws {
        guard (1...120).contains(seconds), (2...20_000).contains(members), (1...5_000).contains(rooms),
            (1...20).contains(rounds), (1...500_000).contains(messages), (1...100_000).contains(changes),
            (1...BenchLimits.polls).contains(polls), (1...20_000).contains(manyRooms),
            (10...500_000).contains(searched)
        else {
            throw ValidationError(
                """
                seconds 1 to 120, members 2 to 20000, messages 1 to 500000, changes 1 to 100000, rooms 1 to 5000, \
                many-rooms 1 to 20000, searched 10 to 500000, polls 1 to \(BenchLimits.polls), rounds 1 to 20
                """)
        }
        for part in only?.split(separator: ",") ?? [] where Scenario(rawValue: String(part)) == nil {
            throw ValidationError("there is no scenario \(part)")
        }
    }

    func run() async throws {
        var servers = try Server.all(inFile: self.servers)
        var report = Report(servers.map(\.target.name))
        let started = Children()
        defer { started.terminate() }
        for number in servers.indices {
            if let command = servers[number].start {
                let before = ContinuousClock.now
                let process = try Machine.start(command)
                started.add(process)
                try await servers[number].target.waitUntilReady(BenchLimits.startPatience)
                let elapsed = (ContinuousClock.now - before) / .milliseconds(1)
                report.add([Measurement("cold start", elapsed, "ms", .less)], of: number)
                servers[number].pid = process.processIdentifier
            } else {
                try await servers[number].target.waitUntilReady(.seconds(5))
            }
        }
        let wanted = only.map { Set($0.split(separator: ",").compactMap { Scenario(rawValue: String($0)) }) }
        for round in 0..<rounds {
            let run = "b\(UInt32.random(in: 0...UInt32.max))r\(round)"
            let worlds = servers.map { World($0.target, run: run) }
            for scenario in Scenario.allCases where wanted?.contains(scenario) ?? true {
                // In turns, and not always the same one first.
                let order = round.isMultiple(of: 2) ? Array(servers.indices) : servers.indices.reversed()
                for number in order {
                    note("\(scenario.rawValue) on \(servers[number].target.name)")
                    do {
                        report.add(try await scenario.measure(servers[number], worlds[number], self), of: number)
                    } catch {
                        note("\(scenario.rawValue) on \(servers[number].target.name) failed: \(error)")
                    }
                }
            }
        }
        print(json ? String(decoding: report.json.serialized(), as: UTF8.self) : report.table)
    }

    private func note(_ text: String) {
        let seconds = Int((ContinuousClock.now - Self.began) / .seconds(1))
        FileHandle.standardError.write(Data("\(seconds) s: \(text)\n".utf8))
    }

    private static let began = ContinuousClock.now
}
