internal import MatrixModel
internal import MatrixRooms

/// Which servers the operator lets us speak to: `federation.enabled`, `.allow[]`, `.deny[]`.
struct ServerPolicy: Sendable {
    private let isEnabled: Bool
    private let allow: [Glob]
    private let deny: [Glob]

    init(_ settings: HomeserverConfiguration.FederationSettings) {
        isEnabled = settings.isEnabled
        allow = settings.allow.compactMap { Glob($0.lowercased()) }
        deny = settings.deny.compactMap { Glob($0.lowercased()) }
    }

    func allows(_ server: ServerName) -> Bool {
        guard isEnabled else { return false }
        let names = [server.text.lowercased(), server.host.lowercased()]
        if deny.contains(where: { glob in names.contains { glob.matches($0) } }) { return false }
        return allow.isEmpty || allow.contains { glob in names.contains { glob.matches($0) } }
    }
}
