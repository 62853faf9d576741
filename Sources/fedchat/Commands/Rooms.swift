import ArgumentParser
import MatrixModel

/// What ROOM may be, for the help.
let roomHelp: ArgumentHelp = "A room's id, alias, an unambiguous part of its name, or @user:server."

struct Rooms: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List rooms and invitations.")
    @OptionGroup var options: CommonOptions

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask("rooms")
        for room in answer["rooms"]?.elements ?? [] {
            let name = Output.name(room["name"]?.string ?? room["alias"]?.string ?? "")
            let note = room["membership"]?.string == "invite" ? "\tinvited" : ""
            options.show(room, "\(Output.name(room["room_id"]?.string ?? ""))\t\(name)\(note)")
        }
    }
}

struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make a room, encrypted unless told otherwise.")
    @OptionGroup var options: CommonOptions

    @Option(help: "Its name.")
    var name: String?

    @Option(help: "Its topic.")
    var topic: String?

    @Option(help: "An alias: what comes between # and the server.")
    var alias: String?

    @Option(help: "Somebody to invite; may be repeated.")
    var invite: [String] = []

    @Option(name: .customLong("room-version"), help: "Another version than the server's default.")
    var roomVersion: String?

    @Flag(name: .customLong("public"), help: "Anybody may join.")
    var isPublic = false

    @Flag(name: .customLong("unencrypted"), help: "Messages can be read by the servers.")
    var isUnencrypted = false

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask(
            "create",
            .fields([
                "name": name.map { .string($0) }, "topic": topic.map { .string($0) },
                "alias": alias.map { .string($0) }, "invite": .array(invite.map { .string($0) }),
                "room_version": roomVersion.map { .string($0) }, "public": .bool(isPublic),
                "encrypted": .bool(!isUnencrypted),
            ]))
        options.show(answer, answer["room_id"]?.string ?? "")
    }
}

struct Join: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Join a room, or accept an invitation.")
    @OptionGroup var options: CommonOptions

    @Argument(help: "A room's id or alias, or a part of the name of one that you are invited to.")
    var room: String

    @Option(help: "A server through which to join; may be repeated.")
    var via: [String] = []

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask(
            "join", ["room": .string(room), "via": .array(via.map { .string($0) })])
        options.show(answer, answer["room_id"]?.string ?? "")
    }
}

struct Invite: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Invite somebody into a room.")
    @OptionGroup var options: CommonOptions

    @Argument(help: roomHelp)
    var room: String

    @Argument(help: "@user:server")
    var user: String

    func run() throws {
        guard (try? UserID(user)) != nil else { throw Failure("not a user: \(user)", Failure.Status.usage) }
        let answer = try DaemonClient.connect(try options.begin()).ask(
            "invite", ["room": .string(room), "user": .string(user)])
        options.show(answer, "invited \(user)")
    }
}

struct Leave: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Leave a room.",
        discussion: """
            The keys of what was said stay on this device unless --forget is given: then they are deleted, and only a \
            backup has them. A room that was left already is named by its id.
            """)
    @OptionGroup var options: CommonOptions

    @Argument(help: roomHelp)
    var room: String

    @Flag(name: .customLong("forget"), help: "Forget the room and its keys.")
    var isForgetting = false

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask(
            "leave", ["room": .string(room), "forget": .bool(isForgetting)])
        options.show(answer, isForgetting ? "left and forgotten" : "left")
    }
}

struct Members: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List who is in a room or invited.")
    @OptionGroup var options: CommonOptions

    @Argument(help: roomHelp)
    var room: String

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask("members", ["room": .string(room)])
        for member in answer["members"]?.elements ?? [] {
            let note = member["membership"]?.string == "invite" ? "\tinvited" : ""
            options.show(member, "\(Output.name(member["user_id"]?.string ?? ""))\(note)")
        }
    }
}
