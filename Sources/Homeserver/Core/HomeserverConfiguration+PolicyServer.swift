/// What an operator says of this server as a policy server.
extension HomeserverConfiguration {
    /// What rooms that name this server as their policy server get signed by it. How much one sender may send in one room is
    /// `rateLimits.policyEvents`.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#policy-servers>
    public struct PolicyServer: Sendable {
        public var isEnabled = false
        /// Patterns, as in access lists, of the servers whose users' events are not signed.
        public var refusedServers: [String] = []
        /// Patterns of the ids of users whose events are not signed.
        public var refusedUsers: [String] = []
        /// Patterns of types of events that are not signed.
        public var refusedEventTypes: [String] = []
        /// Words and phrases that no text may hold, where it is not encrypted.
        public var refusedWords: [String] = []
        /// The canonical JSON of an event without its signatures, bytes.
        public var largestEventBytes: Int64 = 65_536
        public init() {}
    }
}
