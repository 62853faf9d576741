internal import HTTPMessages

/// The URL of a request. Its parts come from strangers (a server's name, a `.well-known` answer), so none may change the
/// meaning of another.
enum RequestURL {
    /// - Throws: ``HTTPClientError/other(_:)``.
    static func write(_ request: ClientRequest) throws(HTTPClientError) -> String {
        guard request.scheme == "https" || request.scheme == "http" else { throw .other("scheme") }
        try check(request.host, request.port)
        if let target = request.connectTo { try check(target.host, target.port) }
        guard request.pathAndQuery.utf8.first == UInt8(ascii: "/"),
            request.pathAndQuery.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") })
        else { throw .other("path") }
        return "\(request.scheme)://\(bracketed(request.host)):\(request.port)\(request.pathAndQuery)"
    }

    /// A host as URLs write it: IPv6 addresses in brackets.
    static func bracketed(_ host: String) -> String {
        host.utf8.contains(UInt8(ascii: ":")) && host.utf8.first != UInt8(ascii: "[") ? "[\(host)]" : host
    }

    private static func check(_ host: String, _ port: Int) throws(HTTPClientError) {
        guard (1...65535).contains(port) else { throw .other("port") }
        var bare = Substring(host)
        if bare.first == "[", bare.last == "]" { bare = bare.dropFirst().dropLast() }
        let isAddress = bare.utf8.contains(UInt8(ascii: ":"))
        guard !bare.isEmpty, bare.utf8.count <= 255, bare.utf8.allSatisfy({ isHost($0, isAddress) }) else {
            throw .other("host")
        }
    }

    private static func isHost(_ byte: UInt8, _ isAddress: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."):
            true
        case UInt8(ascii: ":"):
            isAddress
        case UInt8(ascii: "g")...UInt8(ascii: "z"), UInt8(ascii: "G")...UInt8(ascii: "Z"), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            !isAddress
        default:
            false
        }
    }
}
