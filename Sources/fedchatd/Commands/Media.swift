import ArgumentParser
import Homeserver
import HomeserverStorage
import MatrixModel

/// `fedchatd media`
struct Media: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Withholds, deletes and lists files of the server's database.",
        discussion: """
            A file is named by its mxc:// URI. One that is quarantined is there for nobody, other servers included, and \
            neither is any other of the same bytes.
            """,
        subcommands: [Quarantine.self, Unquarantine.self, Delete.self, List.self, PurgeRemote.self])

    struct Quarantine: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Withholds a file, all of a user (@…), or all that events of a room (!…) name.",
            discussion: """
                Of a room, only what is written in events that this server can read; files of encrypted rooms are named \
                one by one. A file of another server that was never fetched may be named too.
                """)
        @Argument(help: "mxc://SERVER/ID, @USER:SERVER or !ROOM.") var what: String
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let what = what
            try await Media.on(options) { administration in
                if let name = MediaAdministration.Name(what) {
                    print("quarantined: \(try await administration.quarantine(name))")
                } else if let user = try? UserID(what) {
                    print("quarantined: \(try await administration.quarantine(uploadsOf: user))")
                } else if let room = try? RoomID(what) {
                    guard let count = try await administration.quarantine(room: room) else {
                        throw ExitWith.configuration("\(what): no such room here")
                    }
                    print("quarantined: \(count)")
                } else {
                    throw ExitWith.configuration("\(what): expected mxc://SERVER/ID, @USER:SERVER or !ROOM")
                }
            }
        }
    }

    struct Unquarantine: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Gives a file free again.")
        @Argument(help: "mxc://SERVER/ID") var uri: String
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let name = try Media.name(uri)
            try await Media.on(options) { print("given free: \(try await $0.release(name))") }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes a file for good; a copy of another server's until somebody asks for it again.",
            discussion: "Its bytes go within hours, by the running server, unless another file has the same.")
        @Argument(help: "mxc://SERVER/ID") var uri: String
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            let name = try Media.name(uri)
            try await Media.on(options) { administration in
                guard try await administration.delete(name) else {
                    throw ExitWith.configuration("\(name): no such file here")
                }
            }
        }
    }

    struct PurgeRemote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deletes copies of other servers' files that nobody has asked for in so many days.")
        @Option(help: "Days; 0 for all of them.") var days: Int
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            guard (0...36_500).contains(days) else { throw ExitWith.configuration("--days: expected 0 to 36500") }
            let time = SystemClock().now() - Int64(days) * 86_400_000
            try await Media.on(options) { print("deleted: \(try await $0.deleteCopies(unusedSince: time))") }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints files, one a line: name, bytes, type, uploader, hash, whether quarantined.")
        @Option(help: "Only what this user has uploaded.") var user: String?
        @Option(help: "Only what is this server's.") var server: String?
        @Flag(help: "Only what is quarantined.") var quarantined = false
        @Option(help: "How many at most.") var limit = 1_000
        @OptionGroup var options: ConfigurationOption

        mutating func run() async throws {
            guard (1...1_000_000).contains(limit) else {
                throw ExitWith.configuration("--limit: expected 1 to 1000000")
            }
            var filter = MediaStore.Filter()
            filter.uploader = user
            filter.isQuarantined = quarantined
            if let server {
                guard let origin = try? ServerName(server) else {
                    throw ExitWith.configuration("--server: \(server) is no server name")
                }
                filter.origin = origin
            }
            let (wanted, limit) = (filter, limit)
            try await Media.on(options) { administration in
                var last: MediaAdministration.Name?
                var left = limit
                while left > 0 {
                    let page = try await administration.list(wanted, after: last, limit: min(left, 500))
                    for record in page { print(Media.line(record)) }
                    left -= page.count
                    last = page.last.flatMap { MediaAdministration.Name(origin: $0.origin, mediaID: $0.mediaID) }
                    if page.count < 500 || last == nil { break }
                }
            }
        }
    }

    private static func line(_ record: MediaRecord) -> String {
        [
            "mxc://\(record.origin)/\(record.mediaID)", record.length.map(String.init) ?? "-",
            record.contentType ?? "-", record.uploader ?? "-", record.contentHash ?? "-",
            record.quarantined == nil ? "" : "quarantined",
        ].joined(separator: " ")
    }

    private static func name(_ text: String) throws -> MediaAdministration.Name {
        guard let name = MediaAdministration.Name(text) else {
            throw ExitWith.configuration("\(text): expected mxc://SERVER/ID")
        }
        return name
    }

    private static func on(
        _ options: ConfigurationOption, _ work: (MediaAdministration) async throws -> Void
    ) async throws {
        try await Rooms.on(options) { try await work(MediaAdministration(environment: $0)) }
    }
}
