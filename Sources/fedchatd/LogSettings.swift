import Logging
import Synchronization

/// `log.*`, shared by all loggers of the program: a running server takes them anew.
final class LogSettings: Sendable {
    private struct State {
        var level: Logger.Level
        var isJSON: Bool
    }

    private let state: Mutex<State>

    init(_ loaded: LoadedConfiguration) { state = Mutex(Self.read(loaded)) }

    var level: Logger.Level { state.withLock { $0.level } }
    var isJSON: Bool { state.withLock { $0.isJSON } }

    func replace(with loaded: LoadedConfiguration) { state.withLock { $0 = Self.read(loaded) } }

    private static func read(_ loaded: LoadedConfiguration) -> State {
        State(level: Logger.Level(rawValue: loaded.logLevel) ?? .info, isJSON: loaded.logFormat == "json")
    }
}
