public import MatrixModel

/// `m.room.server_acl`: which servers may take part in a room. Read it once per event and keep it; asking is cheap.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomserver_acl>
public struct ServerACL: Sendable {
    private let allowsIPLiterals: Bool
    private let allowed: Patterns
    private let denied: Patterns

    /// What the content of an event says. Entries that are no strings are ignored, and a list that is no list is empty: so
    /// without `allow` nobody is allowed.
    public init(_ content: JSONView) {
        allowsIPLiterals = content["allow_ip_literals"]?.bool ?? true
        allowed = Patterns(content["allow"])
        denied = Patterns(content["deny"])
    }

    /// Whether requests of a server about the room are answered, and its events taken. Its port makes no difference.
    public func allows(_ server: ServerName) -> Bool {
        // 2. If the server name is an IP address literal, and allow_ip_literals is present and false, deny.
        if server.isIPLiteral, !allowsIPLiterals { return false }
        let host = Glob.Text(server.host)
        // 3. If the server name matches an entry in the deny list, deny.
        if denied.match(host) { return false }
        // 4. If the server name matches an entry in the allow list, allow.
        // 5. Otherwise, deny.
        return allowed.match(host)
    }

    /// Lists grow to thousands of plain names, so these are looked up; only real patterns are tried one by one.
    private struct Patterns {
        var names: Set<Glob.Text> = []
        var globs: [Glob] = []

        init(_ list: JSONView?) {
            for entry in list?.elements ?? [] {
                // A pattern too long for a `Glob` is longer than any host.
                guard let pattern = entry.string, let glob = Glob(pattern) else { continue }
                if glob.isLiteral { names.insert(Glob.Text(pattern)) } else { globs.append(glob) }
            }
        }

        func match(_ host: Glob.Text) -> Bool {
            names.contains(host) || globs.contains { $0.matches(host) }
        }
    }
}
