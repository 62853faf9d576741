/// The target of a request: a path and its query.
public struct PathAndQuery: Hashable, Sendable {
    /// The path as it is on the wire, percent-encoded, without query.
    public let path: String
    /// The query as it is on the wire, without question mark; `nil` if there is none.
    public let rawQuery: String?

    /// Splits a request target at its first question mark; a fragment, which has no place there, is cut off. An
    /// absolute target (`https://host/path`) loses scheme and host.
    public init(_ target: String) {
        var rest = Substring(target)
        if let hash = rest.utf8.firstIndex(of: UInt8(ascii: "#")) { rest = rest[..<hash] }
        if rest.utf8.first != UInt8(ascii: "/") {
            for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) {
                let afterScheme = rest.dropFirst(scheme.count)
                let end = afterScheme.utf8.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
                rest = afterScheme[(end ?? afterScheme.endIndex)...]
            }
        }
        if let mark = rest.utf8.firstIndex(of: UInt8(ascii: "?")) {
            path = String(rest[..<mark])
            rawQuery = String(rest[rest.utf8.index(after: mark)...])
        } else {
            path = String(rest)
            rawQuery = nil
        }
    }

    /// The segments of the path, decoded: `/a/b%2Fc` is `["a", "b/c"]`, `/a/` is `["a", ""]`, `/` is `[""]`.
    /// - Returns: `nil` if a segment is not well percent-encoded, or not UTF-8, or the path does not start with `/`.
    public var segments: [String]? {
        guard path.utf8.first == UInt8(ascii: "/") else { return nil }
        var segments: [String] = []
        for part in path.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard let segment = PercentEncoding.decode(String(decoding: part, as: UTF8.self)) else { return nil }
            segments.append(segment)
        }
        return segments
    }

    /// The query, decoded.
    public var query: QueryItems { rawQuery.map { QueryItems(parsing: $0) } ?? QueryItems() }

    /// Builds a target from decoded segments and items: `["_matrix", "a/b"]` is `/_matrix/a%2Fb`.
    public static func encode(segments: [String], query: QueryItems = QueryItems()) -> String {
        let path = "/" + segments.map(PercentEncoding.encode).joined(separator: "/")
        return query.isEmpty ? path : path + "?" + query.encoded
    }
}
