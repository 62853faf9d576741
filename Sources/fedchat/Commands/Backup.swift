import ArgumentParser
import MatrixModel

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Room keys on the server, which only your devices and your recovery key can read.",
        subcommands: [Status.self, Create.self, Restore.self, Delete.self], defaultSubcommand: Status.self)

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the backup, and how much of this device it holds.")
        @OptionGroup var options: CommonOptions

        @Flag(help: "First send all that it lacks.")
        var complete = false

        func run() throws {
            let answer = try DaemonClient.connect(try options.begin()).ask(
                "backup.status", ["complete": .bool(complete)])
            guard let version = answer["version"]?.string else {
                return options.show(answer, "no backup: run \"fedchat backup create\"")
            }
            options.show(
                answer,
                """
                version\t\(Output.name(version))
                trusted\t\(answer["trust"]?.string ?? "")
                used\t\(answer["used"]?.bool == true ? "yes" : "NO")
                sessions\t\(answer["backed_up"]?.integer ?? 0) of \(answer["sessions"]?.integer ?? 0) here, \
                \(answer["on_server"]?.integer ?? 0) on the server
                """)
        }
    }

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new backup in place of the one there is.",
            discussion: "Run \"fedchat recovery create\" afterwards, so that the recovery key opens it.")
        @OptionGroup var options: CommonOptions

        func run() throws {
            let answer = try DaemonClient.connect(try options.begin()).ask("backup.create")
            options.show(answer, Output.name(answer["version"]?.string ?? ""))
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read all of the backup.",
            discussion: "With the key that this device holds, or its decryption key. Ends with 9 if a part was damaged."
        )
        @OptionGroup var options: CommonOptions

        @Option(name: .customLong("key-file"), help: SecretInput.help("the backup's decryption key"))
        var keyFile: String?

        func run() throws {
            let profile = try options.begin()
            let key = try keyFile.map { try SecretInput.read($0, "Backup key") }
            let answer = try DaemonClient.connect(profile).ask(
                "backup.restore", .fields(["key": key.map { .string($0) }]))
            let damaged = answer["damaged"]?.integer ?? 0
            options.show(
                answer, "\(answer["read"]?.integer ?? 0) room keys, \(answer["new"]?.integer ?? 0) of them new")
            if damaged > 0 {
                throw Failure("\(damaged) room keys of the backup are damaged", Failure.Status.undecryptable)
            }
        }
    }

    struct Delete: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete the backup with all keys in it.")
        @OptionGroup var options: CommonOptions

        func run() throws {
            options.show(try DaemonClient.connect(try options.begin()).ask("backup.delete"), "deleted")
        }
    }
}
