internal import HTTPMessages
internal import MatrixModel

/// An absolute `http` or `https` URL, in parts.
struct WebAddress: Hashable, Sendable {
    /// `http` or `https`.
    let scheme: String
    /// The host as a server name writes it: an IPv6 address in brackets.
    let host: String
    let port: Int
    /// Starts with `/`.
    let pathAndQuery: String

    /// `nil` for anything else, and for one with a user name in it.
    init?(_ text: String) {
        guard let mark = text.firstRange(of: "://") else { return nil }
        scheme = text[..<mark.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else { return nil }
        let rest = text[mark.upperBound...]
        let end = rest.utf8.firstIndex { [UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#")].contains($0) }
        guard let name = try? ServerName(String(rest[..<(end ?? rest.endIndex)])) else { return nil }
        host = name.host
        port = name.port ?? (scheme == "https" ? 443 : 80)
        guard (1...65_535).contains(port) else { return nil }
        let tail = rest[(end ?? rest.endIndex)...].prefix { $0 != "#" }
        // Nothing that could end the request's first line.
        guard tail.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        pathAndQuery = tail.hasPrefix("/") ? String(tail) : "/" + tail
    }

    /// The host without brackets, as a request names it.
    var requestHost: String { host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host }

    /// Host and port, as `m.server` has them.
    var authority: String { "\(host):\(port)" }
}
