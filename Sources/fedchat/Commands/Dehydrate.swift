import ArgumentParser
import MatrixModel

struct Dehydrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Leave a device on the server that takes room keys while none of yours is there (MSC3814).",
        discussion:
            "Your next device takes it up when you run \"fedchat recovery restore\" there. Not all servers have it.")
    @OptionGroup var options: CommonOptions

    @Option(
        name: .customLong("key-file"),
        help: SecretInput.help("the recovery key or passphrase, which keeps the device's key"))
    var keyFile: String?

    func run() throws {
        let profile = try options.begin()
        let key = try SecretInput.read(keyFile, "Recovery key or passphrase")
        let answer = try DaemonClient.connect(profile).ask("dehydrate", ["key": .string(key)])
        options.show(answer, Output.name(answer["device_id"]?.string ?? ""))
    }
}
