import Cryptography
import Federation
import Foundation
private import Glibc
import HTTPClientCurl
import HTTPMessages
import Homeserver
import MatrixModel

/// What others see: names, addresses, `.well-known`, and whether they get an answer.
struct OutsideChecks {
    static let timeout = Duration.seconds(15)

    let loaded: LoadedConfiguration
    let clock = SystemClock()
    private let name: ServerName
    private let base: URLComponents
    let client: CurlClient
    private let discovery: ServerDiscovery

    init(_ loaded: LoadedConfiguration) throws {
        guard let name = loaded.serverName, let url = loaded.publicBaseURL, let base = URLComponents(string: url) else {
            throw ConfigurationError(file: loaded.file, key: "server_name, public_base_url", expected: "are missing")
        }
        var settings = CurlClient.Configuration()
        settings.customAuthorityFiles = loaded.customCAFiles
        settings.userAgent = "fedchatd/\(Fedchatd.version) doctor"
        do { client = try CurlClient(settings) } catch {
            throw ExitWith.configuration("\(loaded.file): federation.custom_ca_files: \(error)")
        }
        let clock = clock
        discovery = ServerDiscovery(
            httpClient: client, resolver: SystemSRVRecords(now: { clock.monotonic() }), allowsPrivateAddresses: true,
            now: { clock.monotonic() })
        (self.loaded, self.name, self.base) = (loaded, name, base)
    }

    private var host: String { base.host ?? "" }

    private var nameHost: String {
        name.host.hasPrefix("[") ? String(name.host.dropFirst().dropLast()) : name.host
    }

    // MARK: Names and addresses

    func names() -> [Finding] {
        var found: [Finding] = []
        if name.isIPLiteral {
            found.append(
                .warning(
                    .names, "server_name \(name) is an IP address: it cannot be moved, and has no .well-known",
                    mend: "for a server that is to last, choose a domain name before the first user is made"))
        } else if name.port != nil {
            found.append(
                .warning(
                    .names, "server_name \(name) has a port, which is part of every id for good",
                    mend: "for a server that is to last, choose a name without a port before the first user is made"))
        } else {
            found.append(.ok(.names, "server_name \(name)"))
        }
        if base.scheme == "https" {
            found.append(.ok(.names, "public_base_url \(loaded.publicBaseURL ?? "")"))
        } else {
            found.append(
                .warning(
                    .names,
                    "public_base_url \(loaded.publicBaseURL ?? "") is not https: clients refuse it, but on loopback",
                    mend: "put a proxy with a certificate before the server, or a certificate into listeners[].tls"))
        }
        return found
    }

    func addresses() async -> [Finding] {
        var found: [Finding] = []
        for host in Set([host, nameHost]).sorted() {
            let addresses = await Self.resolve(host)
            guard !addresses.isEmpty else {
                found.append(.problem(.dns, "\(host) has no address", mend: "add an A or AAAA record for \(host)"))
                continue
            }
            let inner = addresses.filter(Self.isPrivate)
            if inner.isEmpty {
                found.append(.ok(.dns, "\(host) is \(addresses.joined(separator: ", "))"))
            } else {
                found.append(
                    .warning(
                        .dns, "\(host) is \(inner.joined(separator: ", ")), which only this network reaches",
                        mend: "if others are to reach it, let its record name a public address"))
            }
        }
        return found
    }

    /// Asks the system on a thread of its own, for that may take long.
    private static func resolve(_ host: String) async -> [String] {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var hints = addrinfo()
                hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
                var list: UnsafeMutablePointer<addrinfo>?
                var found: [String] = []
                if getaddrinfo(host, nil, &hints, &list) == 0 {
                    var next = list
                    while let entry = next {
                        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
                        if getnameinfo(
                            entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0,
                            NI_NUMERICHOST) == 0
                        {
                            let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
                            found.append(String(decoding: bytes, as: UTF8.self))
                        }
                        next = entry.pointee.ai_next
                    }
                    freeaddrinfo(list)
                }
                continuation.resume(returning: Set(found).sorted())
            }
        }
    }

    private static func isPrivate(_ address: String) -> Bool {
        if address == "::1" || address.hasPrefix("fe80:") || address.hasPrefix("fc") || address.hasPrefix("fd") {
            return true
        }
        let parts = address.split(separator: ".").compactMap { Int($0) }
        guard parts.count == 4 else { return false }
        return [0, 10, 127].contains(parts[0]) || (parts[0] == 172 && (16...31).contains(parts[1]))
            || (parts[0] == 192 && parts[1] == 168) || (parts[0] == 169 && parts[1] == 254)
            || (parts[0] == 100 && (64...127).contains(parts[1]))
    }

    // MARK: What is answered

    private func get(
        _ host: String, _ port: Int, _ path: String, scheme: String = "https", connectTo: ConnectionTarget? = nil
    ) async -> (document: JSONDocument?, problem: String, isTLS: Bool) {
        let request = ClientRequest(
            scheme: scheme, host: host, port: port, pathAndQuery: path, connectTo: connectTo, timeout: Self.timeout,
            maximumResponseBytes: 1 << 20, allowPrivateAddresses: true, followRedirects: 3)
        do throws(HTTPClientError) {
            let response = try await client.send(request)
            guard response.status == 200 else { return (nil, "answers \(response.status)", false) }
            guard let document = try? JSONDocument(response.body) else { return (nil, "answers no JSON", false) }
            return (document, "", false)
        } catch {
            switch error {
            case .tls(let text): return (nil, "its certificate is not accepted: \(text)", true)
            case .timedOut: return (nil, "does not answer within 15 seconds", false)
            case .couldNotConnect(let text): return (nil, "cannot be connected to: \(text)", false)
            default: return (nil, "\(error)", false)
            }
        }
    }

    /// Clients that are given a user's id look here for the URL.
    func wellKnown() async -> [Finding] {
        guard name.port == nil, !name.isIPLiteral else {
            return [.ok(.wellKnown, "not used for a name with a port")]
        }
        let url = "https://\(nameHost)/.well-known/matrix/client"
        let answer = await get(nameHost, 443, "/.well-known/matrix/client")
        guard let root = answer.document?.root else {
            return [
                .warning(
                    .wellKnown, "\(url) \(answer.problem): clients must be told the URL \(loaded.publicBaseURL ?? "")",
                    mend: "let the web server of \(nameHost) pass /.well-known/matrix/ on to this server")
            ]
        }
        let told = root["m.homeserver"]?["base_url"]?.string ?? "nothing"
        func trimmed(_ text: String) -> String { text.hasSuffix("/") ? String(text.dropLast()) : text }
        guard trimmed(told) == trimmed(loaded.publicBaseURL ?? "") else {
            return [
                .problem(
                    .wellKnown, "\(url) names \(told), but public_base_url is \(loaded.publicBaseURL ?? "")",
                    mend: "make them the same")
            ]
        }
        return [.ok(.wellKnown, "\(url) names public_base_url")]
    }

    /// Goes the way that other servers go, and looks for this server's key at its end.
    func federation() async -> [Finding] {
        guard loaded.homeserver.federation.isEnabled else { return [.ok(.federation, "is off")] }
        let keys = try? SigningKeyFiles(path: loaded.signingKeyFile).load()
        var found: [Finding] = []
        for address in await discovery.addresses(of: name) {
            let target = address.connectTo ?? ConnectionTarget(host: address.host, port: address.port)
            let place = "\(target.host):\(target.port)"
            let answer = await get(
                address.host, address.port, "/_matrix/key/v2/server", connectTo: address.connectTo)
            guard let root = answer.document?.root else {
                found.append(
                    .problem(
                        .federation, "other servers come to \(place), which \(answer.problem)",
                        mend: answer.isTLS
                            ? "give it a certificate for \(address.host), by an authority that all trust, with its chain"
                            : "open the port to \(place), or say elsewhere in https://\(nameHost)/.well-known/matrix/server"
                    ))
                continue
            }
            let told = root["server_name"]?.string
            let key = keys.flatMap { keys in root["verify_keys"]?[keys.keyID]?["key"]?.string }
            let own = keys.map { Base64.encode($0.current.publicKey.bytes, .standardUnpadded) }
            if told != name.text {
                found.append(
                    .problem(
                        .federation, "at \(place) answers \(told ?? "nobody"), not \(name)",
                        mend: "point the name, its SRV records and .well-known/matrix/server at this server"))
            } else if own == nil || key == nil || key != own {
                found.append(
                    .problem(
                        .federation,
                        "at \(place) answers \(name) with another signing key than \(loaded.signingKeyFile)",
                        mend: "stop the other program, or give all nodes the same federation-keys"))
            } else {
                found.append(.ok(.federation, "\(name) answers at \(place), with its key"))
            }
        }
        return found
    }

    func clients() async -> [Finding] {
        let scheme = base.scheme ?? "https"
        let path = (base.path.hasSuffix("/") ? String(base.path.dropLast()) : base.path) + "/_matrix/client/versions"
        let answer = await get(host, base.port ?? (scheme == "https" ? 443 : 80), path, scheme: scheme)
        guard answer.document?.root["versions"] != nil else {
            return [
                .problem(
                    .clients,
                    "\(loaded.publicBaseURL ?? "") \(answer.problem.isEmpty ? "is no homeserver" : answer.problem)",
                    mend: answer.isTLS
                        ? "give it a certificate for \(host), by an authority that all trust, with its chain"
                        : "start the server, and let the proxy pass /_matrix/ on to it, with the path as it is")
            ]
        }
        return [.ok(.clients, "\(loaded.publicBaseURL ?? "") answers")]
    }
}
