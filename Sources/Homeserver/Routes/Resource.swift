/// What a listener serves, by the path's beginning; the configuration's `listeners[].resources`.
public enum Resource: String, Sendable, CaseIterable {
    case client, federation, media, key, metrics, health, admin

    /// What a listener serves that names nothing.
    public static let standard: Set<Resource> = [.client, .federation, .media, .key, .health]

    /// The resource a path belongs to; `nil` when to none.
    static func of(_ segments: [String]) -> Resource? {
        switch (segments.first, segments.dropFirst().first) {
        case ("_matrix", "client"), (".well-known", "matrix"): .client
        case ("_matrix", "media"): .media
        case ("_matrix", "federation"), ("_matrix", "policy"): .federation
        case ("_matrix", "key"): .key
        case ("_synapse", "admin"): .client
        case ("_fedchat", _): .admin
        case ("metrics", nil): .metrics
        case ("health", nil), ("ready", nil): .health
        default: nil
        }
    }
}
