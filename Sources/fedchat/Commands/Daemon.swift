import ArgumentParser
import Foundation

struct Daemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Own the keys and answer other commands. Started by them.", shouldDisplay: false)
    @OptionGroup var options: CommonOptions

    func run() async throws {
        let profile = try Profile(
            name: options.profile, folder: options.configFolder, authorityFile: options.authorityFile,
            environment: ProcessInfo.processInfo.environment)
        try await DaemonProcess(profile).run()
    }
}
