internal import MatrixModel
internal import Synchronization

/// The settings that a running server takes anew when its configuration is read again: rate limits, who may register,
/// which servers are spoken to, and what a policy server refuses. Whoever asks `Environment.configuration` for them gets what
/// held at the start. All others hold until the next start, the cost of password hashes and whether there is federation at all among them.
final class ReloadedSettings: Sendable {
    private struct State {
        var rateLimits: HomeserverConfiguration.RateLimits
        var registration: HomeserverConfiguration.Registration
        var servers: ServerPolicy
        var policyRules: PolicyRules

        init(_ configuration: HomeserverConfiguration) {
            rateLimits = configuration.rateLimits
            registration = configuration.registration
            servers = ServerPolicy(configuration.federation)
            policyRules = PolicyRules(configuration.policyServer)
        }
    }

    private let isFederating: Bool
    private let state: Mutex<State>

    init(_ configuration: HomeserverConfiguration) {
        isFederating = configuration.federation.isEnabled
        state = Mutex(State(configuration))
    }

    var rateLimits: HomeserverConfiguration.RateLimits { state.withLock { $0.rateLimits } }
    var registration: HomeserverConfiguration.Registration { state.withLock { $0.registration } }

    var policyRules: PolicyRules { state.withLock { $0.policyRules } }

    /// Whether the operator lets us speak to the server.
    func allows(_ server: ServerName) -> Bool { state.withLock { $0.servers }.allows(server) }

    func replace(with configuration: HomeserverConfiguration) {
        var configuration = configuration
        configuration.federation.isEnabled = isFederating
        let new = State(configuration)
        state.withLock { $0 = new }
    }
}
