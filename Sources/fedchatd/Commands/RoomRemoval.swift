import ArgumentParser
import Foundation
import Homeserver
import HomeserverStorage
import MatrixModel

extension Rooms {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the rooms, one a line.",
            discussion: "Id, version, joined members, those of this server, and what is special about the room.")
        @OptionGroup var options: ConfigurationOption
        @Flag(help: "Only rooms in which no user of this server is.") var empty = false
        @Flag(help: "The rooms that are refused instead.") var blocked = false
        @Flag(help: "Prints a JSON object a line.") var json = false

        mutating func run() async throws {
            let (empty, blocked, json) = (empty, blocked, json)
            try await Rooms.on(options) { environment in
                let rooms = RoomAdministration(environment: environment)
                if blocked {
                    for id in try await rooms.blocked() { print(id) }
                    return
                }
                var last = ""
                while true {
                    let page = try await rooms.list(after: last)
                    guard let end = page.last else { return }
                    last = end.id
                    for room in page where !empty || room.joinedHere == 0 { print(json ? room.json : room.line) }
                }
            }
        }
    }

    struct PurgeHistory: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "purge-history", abstract: "Removes the old messages of a room from this server.",
            discussion: """
                State events stay, and so do the room's newest events. Clients find the end of history there; it is not \
                fetched again. Other servers keep what they have. A server that runs does it in the background; without \
                one it is done here.
                """)
        @Argument(help: "The room's id or alias.") var room: String
        @OptionGroup var options: ConfigurationOption
        @Option(help: "A date (2026-01-31, or with a time as 2026-01-31T12:00:00Z), or the id of an event of the room.")
        var before: String

        mutating func run() async throws {
            let (room, before) = (room, before)
            try await Rooms.on(options, room) { environment, id in
                let rooms = RoomAdministration(environment: environment)
                let cut: HistoryCut
                if let event = try? EventID(before) {
                    guard let found = try await rooms.cut(before: event, in: id) else {
                        throw ExitWith.configuration("\(before): no such event in the room's timeline")
                    }
                    cut = found
                } else {
                    cut = HistoryCut(before: try Self.milliseconds(before, now: environment.clock.now()))
                }
                let job = try await rooms.purgeHistory(id, cut)
                if let failure = job.failure { throw ExitWith.configuration("\(room): \(failure)") }
                print("\(job.removed) messages removed")
            }
        }

        private static func milliseconds(_ text: String, now: Int64) throws -> Int64 {
            let day = Date.ISO8601FormatStyle().year().month().day()
            guard let date = (try? Date(text, strategy: day)) ?? (try? Date(text, strategy: .iso8601)) else {
                throw ExitWith.configuration("--before: expected a date or an event id")
            }
            let time = Int64(date.timeIntervalSince1970 * 1_000)
            guard time > 0, time <= now else {
                throw ExitWith.configuration("--before: expected a date that has been")
            }
            return time
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes a room from this server.",
            discussion: """
                Everything about it goes. Users of this server must have left it, or are taken out with --force. Other \
                servers keep what they have. A server that runs does it in the background; without one it is done here, \
                and other servers do not hear that the users left.
                """)
        @Argument(help: "The room's id or alias.") var room: String
        @OptionGroup var options: ConfigurationOption
        @Flag(help: "Takes users of this server out of it first.") var force = false
        @Flag(help: "Refuses the room to all users here from now on.") var block = false

        mutating func run() async throws {
            let (room, force, block) = (room, force, block)
            try await Rooms.on(options, room) { environment, id in
                let rooms = RoomAdministration(environment: environment)
                let job = try await rooms.delete(id, isForced: force)
                if let failure = job.failure {
                    throw ExitWith.configuration("\(room): \(failure)" + (force ? "" : "; see --force"))
                }
                if block { try await rooms.setBlocked(true, id) }
                print("\(id.text) removed, with \(job.removed) events")
            }
        }
    }

    struct Block: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refuses a room to all users here: nobody joins, knocks or is invited.")
        @Argument(help: "The room's id or alias.") var room: String
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            try await Rooms.on(options, room) { environment, id in
                try await RoomAdministration(environment: environment).setBlocked(true, id)
            }
        }
    }

    struct Unblock: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lets users in again.")
        @Argument(help: "The room's id.") var room: String
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            try await Rooms.on(options, room) { environment, id in
                try await RoomAdministration(environment: environment).setBlocked(false, id)
            }
        }
    }
}

extension RoomAdministration.Listed {
    /// For a person.
    fileprivate var line: String {
        var words = [id, "version \(version)", "\(joined) joined", "\(joinedHere) here"]
        if isPublished { words.append("published") }
        if isAbandoned { words.append("forgotten") }
        return words.joined(separator: "  ")
    }

    /// For a program.
    fileprivate var json: String {
        let object: JSONValue = [
            "v": 1, "room_id": .string(id), "version": .string(version), "joined": .integer(joined),
            "joined_here": .integer(joinedHere), "published": .bool(isPublished), "forgotten": .bool(isAbandoned),
        ]
        return String(decoding: object.serialized(), as: UTF8.self)
    }
}
