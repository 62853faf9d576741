public import HTTPMessages
internal import HTTPTypes
public import MatrixModel
internal import Synchronization

/// Finds where a server name is served, by the spec's six steps, and remembers what `.well-known` said.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names>
public final class ServerDiscovery: Sendable {
    /// What was found out about a name without a port, until when.
    private struct Entry {
        var delegate: ServerName?
        var until: Duration
        var failures: Int
    }

    private let httpClient: any HTTPClient
    private let resolver: any SRVResolving
    private let now: @Sendable () -> Duration
    private let asksWellKnown: Bool
    private let allowsPrivateAddresses: Bool
    private let known = Mutex<[ServerName: Entry]>([:])

    /// - Parameter now: a monotonic time.
    public init(
        httpClient: any HTTPClient, resolver: any SRVResolving, asksWellKnown: Bool = true,
        allowsPrivateAddresses: Bool = false, now: @escaping @Sendable () -> Duration
    ) {
        self.httpClient = httpClient
        self.resolver = resolver
        self.asksWellKnown = asksWellKnown
        self.allowsPrivateAddresses = allowsPrivateAddresses
        self.now = now
    }

    /// The addresses at which to try `server`, in order. Never empty.
    public func addresses(of server: ServerName) async -> [ServerAddress] {
        // 1 and 2: an IP literal, or a port.
        if let direct = Self.direct(server) { return [direct] }
        // 3: .well-known.
        if asksWellKnown, let delegate = await delegate(of: server) {
            if let direct = Self.direct(delegate) { return [direct] }
            return await byRecords(delegate.host)
        }
        // 4 to 6.
        return await byRecords(server.host)
    }

    /// Forgets what is known of a server, after it could not be reached.
    public func forget(_ server: ServerName) {
        known.withLock { known in
            if known[server]?.delegate != nil { known[server] = nil }
        }
    }

    /// The address of a name that needs no look-up of its own.
    private static func direct(_ name: ServerName) -> ServerAddress? {
        let host = name.host.hasPrefix("[") ? String(name.host.dropFirst().dropLast()) : name.host
        if let port = name.port { return ServerAddress(host: host, port: port) }
        if name.isIPLiteral { return .named(host, connectingTo: host, port: defaultFederationPort) }
        return nil
    }

    private func byRecords(_ host: String) async -> [ServerAddress] {
        for service in ["_matrix-fed._tcp.", "_matrix._tcp."] {
            let records = await resolver.records(of: service + host).prefix(FederationLimits.srvRecords)
            // A target of "." says that the service is not offered here. RFC 2782.
            let usable = Array(records).inOrder.filter { !$0.target.isEmpty && $0.target != "." }
            if !usable.isEmpty {
                return usable.map { .named(host, connectingTo: $0.target, port: $0.port) }
            }
        }
        return [.named(host, connectingTo: host, port: defaultFederationPort)]
    }

    private func delegate(of server: ServerName) async -> ServerName? {
        let time = now()
        if let entry = known.withLock({ $0[server] }), entry.until > time { return entry.delegate }
        let failures = known.withLock { $0[server]?.failures ?? 0 }
        let answer = await askWellKnown(server.host)
        let entry: Entry
        if let answer {
            entry = Entry(delegate: answer.delegate, until: time + answer.keep, failures: 0)
        } else {
            let pause = FederationLimits.wellKnownErrorFirst * (1 << min(failures, 6))
            entry = Entry(
                delegate: nil, until: time + min(pause, FederationLimits.wellKnownErrorMaximum),
                failures: min(failures + 1, 16))
        }
        known.withLock { known in
            if known.count >= FederationLimits.discoveryEntries { known = known.filter { $0.value.until > time } }
            if known.count >= FederationLimits.discoveryEntries { known.removeAll() }
            known[server] = entry
        }
        return entry.delegate
    }

    private func askWellKnown(_ host: String) async -> (delegate: ServerName, keep: Duration)? {
        let request = ClientRequest(
            method: .get, scheme: "https", host: host, port: 443, pathAndQuery: "/.well-known/matrix/server",
            fields: [.accept: "application/json"], timeout: FederationLimits.wellKnownTimeout,
            maximumResponseBytes: FederationLimits.wellKnownBytes, allowPrivateAddresses: allowsPrivateAddresses,
            followRedirects: FederationLimits.wellKnownRedirects)
        guard let response = try? await httpClient.send(request), response.status == 200,
            let document = try? JSONDocument(response.body), let text = document.root["m.server"]?.string,
            let delegate = try? ServerName(text)
        else { return nil }
        return (delegate, Self.keep(response.fields[.cacheControl]))
    }

    /// How long a `.well-known` answer is kept, by its Cache-Control header.
    static func keep(_ cacheControl: String?) -> Duration {
        var keep = FederationLimits.wellKnownDefault
        for directive in (cacheControl ?? "").lowercased().split(separator: ",") {
            let parts = directive.split(separator: "=").map { $0.filter { $0 != " " && $0 != "\"" } }
            switch parts.first {
            case "no-store", "no-cache": keep = FederationLimits.wellKnownErrorFirst
            case "max-age":
                if parts.count == 2, let seconds = Int64(parts[1]), seconds >= 0 {
                    keep = .seconds(min(seconds, 1_000_000))
                }
            default: break
            }
        }
        return min(max(keep, FederationLimits.wellKnownErrorFirst), FederationLimits.wellKnownMaximum)
    }
}
