import ArgumentParser
import Foundation
import MatrixModel

/// Measures a Matrix homeserver on this machine, or two of them in turns.
@main struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fedchat-bench",
        abstract: "Measure a Matrix homeserver on this machine through its client API, or two of them in turns.",
        discussion: """
            The servers need registration by shared secret and no rate limits. Everything is bounded in time and number. \
            With --beside, each scenario runs on one server and then on the other, and the table says how many times better the \
            first one is.
            """)

    @Argument(help: "The server's client API, such as http://127.0.0.1:8008.")
    var url: String

    @Option(help: "The shared secret for registration.")
    var secret: String

    @Option(help: "What to call the server in the table.")
    var name = "server"

    @Option(help: "Its process id, to measure memory.")
    var pid: Int32?

    @Option(help: "Its database or data folder, to measure disk.")
    var data: String?

    @Option(help: "A command that starts it; it is ended at the end. Measures the cold start, and memory.")
    var start: String?

    @Option(help: "A second server.")
    var beside: String?

    @Option(help: "The second server's shared secret.")
    var besideSecret: String?

    @Option(help: "What to call the second server.")
    var besideName = "beside"

    @Option(help: "The second server's process id.")
    var besidePid: Int32?

    @Option(help: "The second server's database or data folder.")
    var besideData: String?

    @Option(help: "A command that starts the second server.")
    var besideStart: String?

    @Option(
        help: "Only these scenarios, separated by commas: \(Scenario.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var only: String?

    @Option(help: "Seconds of each measurement of throughput.")
    var seconds = 5

    @Option(help: "Members of the large room.")
    var members = 1_000

    @Option(help: "Rooms of the initial sync.")
    var rooms = 500

    @Option(help: "How often everything is measured; the median counts.")
    var rounds = 1

    @Flag(help: "Write JSON instead of a table.")
    var json = false

    func validate() throws {
        guard (1...120).contains(seconds), (2...10_000).contains(members), (1...5_000).contains(rooms),
            (1...20).contains(rounds)
        else { throw ValidationError("seconds 1 to 120, members 2 to 10000, rooms 1 to 5000, rounds 1 to 20") }
        if let only {
            for part in only.split(separator: ",") where Scenario(rawValue: String(part)) == nil {
                throw ValidationError("there is no scenario \(part)")
            }
        }
    }

    func run() async throws {
        var servers = [
            Server(
                target: try Target(name: name, url: url, secret: secret), pid: pid, data: data, start: start)
        ]
        if let beside {
            servers.append(
                Server(
                    target: try Target(name: besideName, url: beside, secret: besideSecret ?? secret), pid: besidePid,
                    data: besideData, start: besideStart))
        }
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
