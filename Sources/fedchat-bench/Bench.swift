import ArgumentParser

/// Measures homeservers on this machine, and the resolution of room states.
@main struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fedchat-bench", abstract: "Measure Matrix homeservers on this machine.",
        subcommands: [MeasureServers.self, MeasureStates.self], defaultSubcommand: MeasureServers.self)
}
