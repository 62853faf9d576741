import Homeserver
import HomeserverStorage
import MatrixModel

/// Keys of being a policy server.
extension ConfigurationCatalogue {
    static var policyServer: [ConfigurationKey] {
        [
            flag(
                "policy_server.enabled", \.policyServer.isEnabled,
                "Sign what is sent in rooms whose m.room.policy names this server; rate_limits.policy_events too."),
            ConfigurationKey(
                "policy_server.signing_key_file", "federation-keys/policy_server.key",
                "Made if missing; fedchatd keys show prints its public half, for m.room.policy."
            ) { c, s throws(Setting.Wrong) in c.policyServerKeyFile = c.path(try s.string) },
            patterns(
                "policy_server.refused_servers", \.policyServer.refusedServers,
                "Patterns of servers whose users' events are not signed."),
            patterns(
                "policy_server.refused_users", \.policyServer.refusedUsers,
                "Patterns of users whose events are not signed."),
            patterns(
                "policy_server.refused_event_types", \.policyServer.refusedEventTypes,
                "Patterns of types of events that are not signed."),
            ConfigurationKey(
                "policy_server.refused_words", "[]",
                "Words or phrases that no text may hold, where it is not encrypted; case makes no difference."
            ) { c, s throws(Setting.Wrong) in
                let phrases = try s.strings
                guard phrases.count <= PolicyLimits.phrases else {
                    throw Setting.Wrong("expected at most \(PolicyLimits.phrases) words or phrases")
                }
                for phrase in phrases {
                    guard (1...PolicyLimits.wordsPerPhrase).contains(SearchWords.of(phrase).count) else {
                        throw Setting.Wrong(
                            "\(phrase): expected from one to \(PolicyLimits.wordsPerPhrase) words of letters and digits"
                        )
                    }
                }
                c.homeserver.policyServer.refusedWords = phrases
            },
            integer64(
                "policy_server.largest_event_bytes", \.policyServer.largestEventBytes, 1_024...Int64(EventLimits.bytes),
                "Larger events are not signed."),
        ]
    }

    private static func patterns(_ path: String, _ field: Path<[String]>, _ comment: String) -> ConfigurationKey {
        ConfigurationKey(path, "[]", comment) { c, s throws(Setting.Wrong) in
            let patterns = try s.strings
            guard patterns.count <= PolicyLimits.patterns else {
                throw Setting.Wrong("expected at most \(PolicyLimits.patterns) patterns")
            }
            for pattern in patterns where pattern.isEmpty || Glob(pattern) == nil {
                throw Setting.Wrong("expected patterns of 1 to \(GlobLimits.tokens) characters")
            }
            c.homeserver[keyPath: field] = patterns
        }
    }
}
