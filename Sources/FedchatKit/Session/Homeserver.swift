/// Where a homeserver's client API is.
public struct Homeserver: Sendable, Hashable, CustomStringConvertible {
    /// `http` or `https`.
    public let scheme: String
    /// A name or an address, IPv6 without brackets.
    public let host: String
    public let port: Int
    /// What comes before `/_matrix`, without a slash at its end; mostly empty.
    public let path: String

    /// Reads a URL as `https://matrix.example.org`. Throws `usage` for anything else, and for plain `http` to another
    /// host than loopback: tokens and passwords would travel in the clear.
    public init(_ url: String) throws(ClientError) {
        let malformed = ClientError.usage("not the URL of a homeserver: \(url)")
        guard let schemeEnd = url.firstRange(of: "://") else { throw malformed }
        scheme = url[..<schemeEnd.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { throw malformed }
        let rest = url[schemeEnd.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        var path = rest[authority.endIndex...]
        while path.last == "/" { path.removeLast() }
        guard !path.contains(where: { $0 == "?" || $0 == "#" || $0.isWhitespace }), !authority.contains("@") else {
            throw malformed
        }
        self.path = String(path)
        var port = scheme == "https" ? 443 : 80
        var host = authority
        if authority.hasPrefix("["), let close = authority.firstIndex(of: "]") {
            host = authority[authority.index(after: authority.startIndex)..<close]
            let after = authority[authority.index(after: close)...]
            if !after.isEmpty {
                guard after.hasPrefix(":"), let number = UInt16(after.dropFirst()), number > 0 else { throw malformed }
                port = Int(number)
            }
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { throw malformed }
            port = Int(number)
        }
        guard !host.isEmpty, host.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || ".-:_".contains($0)) })
        else { throw malformed }
        self.host = host.lowercased()
        self.port = port
        guard scheme == "https" || isLoopback else {
            throw .usage("plain http is for this machine only: use https for \(host)")
        }
    }

    /// Whether the host is this machine.
    public var isLoopback: Bool {
        if host == "localhost" || host.hasSuffix(".localhost") || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// The URL.
    public var description: String {
        "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)\(path)"
    }
}
