internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1

/// What the header of a request means for its connection.
struct RequestHead {
    /// How the body is delimited.
    enum Framing: Equatable {
        case none
        case length(Int)
        case chunked
    }

    let request: HTTPRequest
    let framing: Framing
    let isKeepAlive: Bool
    let isHTTP10: Bool
    let expectsContinue: Bool

    /// - Returns: `nil` if the header is not one that HTTP/1.1 allows; the answer is 400.
    init?(_ head: HTTPRequestHead, isSecure: Bool) {
        guard let method = HTTPRequest.Method(head.method.rawValue) else { return nil }
        var fields = HTTPFields()
        fields.reserveCapacity(head.headers.count)
        var host: String?
        var framing = Framing.none
        var expectsContinue = false
        var isUpgrade = false
        for (name, value) in head.headers {
            guard let name = HTTPField.Name(name) else { return nil }
            switch name {
            case _ where name == Self.host:
                guard host == nil else { return nil }
                host = value
            case .contentLength:
                guard let length = Int(value), length >= 0 else { return nil }
                if framing == .none { framing = length == 0 ? .none : .length(length) }
            case .transferEncoding:
                framing = .chunked
            case .expect:
                expectsContinue = value.lowercased() == "100-continue"
            case .upgrade:
                isUpgrade = true
            default:
                break
            }
            fields.append(HTTPField(name: name, value: value))
        }
        isHTTP10 = head.version.minor == 0
        guard host != nil || isHTTP10 else { return nil }
        request = HTTPRequest(
            method: method, scheme: isSecure ? "https" : "http", authority: host, path: head.uri, headerFields: fields)
        self.framing = framing
        self.expectsContinue = expectsContinue && !isHTTP10
        // The parser does not go on after a request that asks for another protocol.
        isKeepAlive = head.isKeepAlive && !isHTTP10 && !isUpgrade
    }

    /// HTTPTypes keeps Host as a pseudo field, so it has no name for it.
    private static let host = HTTPField.Name("host")
}
