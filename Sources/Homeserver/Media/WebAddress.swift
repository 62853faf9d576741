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

    /// Of parts that were checked.
    init(scheme: String, host: String, port: Int, pathAndQuery: String) {
        self.scheme = scheme
        self.host = host.utf8.contains(UInt8(ascii: ":")) && !host.hasPrefix("[") ? "[\(host)]" : host
        self.port = port
        self.pathAndQuery = pathAndQuery
    }

    /// `nil` for anything else, and for one with a user name in it.
    init?(_ text: String) {
        guard let mark = text.firstRange(of: "://") else { return nil }
        scheme = text[..<mark.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else { return nil }
        let rest = text[mark.upperBound...]
        let end = rest.utf8.firstIndex { [UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#")].contains($0) }
        guard let name = try? ServerName(String(rest[..<(end ?? rest.endIndex)])) else { return nil }
        host = name.host.lowercased()
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

    /// The URL, without a port that goes without saying.
    var text: String {
        let isUsual = port == (scheme == "https" ? 443 : 80)
        return "\(scheme)://\(isUsual ? host : authority)\(pathAndQuery)"
    }

    /// What a reference means that stands at this address: an absolute URL, or a path, from the root, the scheme or here.
    /// Letters that do not belong into a URL are percent-encoded. `nil` for other schemes. RFC 3986, 5.
    func resolved(_ reference: String) -> WebAddress? {
        var text = ""
        for character in reference.unicodeScalars where character.value > 0x1F {
            text +=
                (0x21...0x7E).contains(character.value) ? String(character) : PercentEncoding.encode(String(character))
        }
        guard text.utf8.count <= MediaLimits.previewAddress else { return nil }
        let scheme = text.prefix { $0 != ":" && $0 != "/" && $0 != "?" && $0 != "#" }
        if scheme.endIndex < text.endIndex, text[scheme.endIndex] == ":" { return WebAddress(text) }
        if text.hasPrefix("//") { return WebAddress("\(self.scheme):\(text)") }
        let root = "\(self.scheme)://\(authority)"
        if text.hasPrefix("/") { return WebAddress(root + text) }
        let path = String(pathAndQuery.prefix { $0 != "?" })
        if text.isEmpty || text.hasPrefix("#") { return self }
        if text.hasPrefix("?") { return WebAddress(root + path + text) }
        let folder = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
        return WebAddress(root + Self.withoutDots(String(folder) + text))
    }

    /// A path without `.` and `..`.
    private static func withoutDots(_ target: String) -> String {
        let path = target.prefix { $0 != "?" }
        var kept: [Substring] = []
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch segment {
            case ".": if isLast { kept.append("") }
            case "..":
                _ = kept.popLast()
                if isLast { kept.append("") }
            default: kept.append(segment)
            }
        }
        return "/" + kept.joined(separator: "/") + target[path.endIndex...]
    }
}
