internal import HTTPMessages
public import MatrixModel

/// A call to be made: a route with its parameters filled in. Used by the client and towards other servers.
public struct APICall: Sendable {
    public let route: Route
    /// The path and query, percent-encoded.
    public let pathAndQuery: String
    /// The JSON body's bytes; empty for none.
    public var body: [UInt8]

    /// Fills the path's parameters in. A parameter that the template names and the caller does not give stays empty.
    public init(
        _ route: Route, _ parameters: [String: String] = [:], query: [(String, String)] = [], body: JSONValue? = nil
    ) {
        self.route = route
        var path = ""
        for segment in route.template.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            path += "/"
            if segment.hasPrefix("{"), segment.hasSuffix("}") {
                path += PercentEncoding.encode(parameters[String(segment.dropFirst().dropLast())] ?? "")
            } else {
                path += segment
            }
        }
        if !query.isEmpty {
            path += "?"
            path += query.map { "\(PercentEncoding.encode($0.0))=\(PercentEncoding.encode($0.1))" }
                .joined(separator: "&")
        }
        pathAndQuery = path
        self.body = body.map { $0.serialized() } ?? []
    }
}
