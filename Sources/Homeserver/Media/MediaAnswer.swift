internal import HTTPMessages
internal import HTTPTypes
internal import MatrixAPI

/// Writes answers that hold a file.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#content-repository>
enum MediaAnswer {
    /// What bytes are of which nobody said more.
    static let unknownType = "application/octet-stream"

    /// A content type that is fit for a header, or ``unknownType``.
    static func contentType(_ given: String?) -> String {
        guard let given, !given.isEmpty, given.utf8.count <= MediaLimits.contentType, given.contains("/"),
            given.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else { return unknownType }
        return given
    }

    /// The headers of a file that is never another.
    static func headers(contentType: String, fileName: String?) -> HTTPFields {
        var headers: HTTPFields = [
            .contentType: contentType,
            .contentDisposition: ContentDisposition.header(contentType: contentType, fileName: fileName),
            .contentSecurityPolicy: """
            sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; \
            object-src 'self';
            """,
            .crossOriginResourcePolicy: "cross-origin", .xContentTypeOptions: "nosniff",
            .cacheControl: "private, max-age=31536000, immutable", .acceptRanges: "bytes",
        ]
        if let name = HTTPField.Name("Referrer-Policy") { headers[name] = "no-referrer" }
        return headers
    }

    /// A file, or the one part of it that `Range` asks for, or nothing where the client has it. RFC 9110, 13 and 14.
    /// - Parameter tag: names these bytes and no others.
    static func file(
        _ file: StoredFile, tag: String, contentType: String, fileName: String?, to request: HTTPRequest
    ) -> APIResponse {
        var headers = headers(contentType: contentType, fileName: fileName)
        let tag = "\"\(tag)\""
        headers[.eTag] = tag
        if let known = request.headerFields[.ifNoneMatch], names(tag, known) {
            headers[.contentType] = nil
            headers[.contentDisposition] = nil
            return APIResponse(status: 304, headers: headers, body: .empty)
        }
        // A part of other bytes than the client has begun with is of no use to it.
        let isOfThese = request.headerFields[.ifRange].map { $0 == tag } ?? true
        switch isOfThese ? request.headerFields[.range].flatMap({ range($0, of: file.length) }) : nil {
        case nil:
            return APIResponse(headers: headers, body: file.body(0..<file.length))
        case .part(let part):
            headers[.contentRange] = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(file.length)"
            return APIResponse(status: 206, headers: headers, body: file.body(part))
        case .outside:
            return APIResponse(status: 416, headers: [.contentRange: "bytes */\(file.length)"], body: .empty)
        }
    }

    /// Whether a list of tags names one; `*` names all.
    private static func names(_ tag: String, _ list: String) -> Bool {
        list.split(separator: ",").contains { entry in
            let entry = HeaderParameters.trimmed(entry)
            return entry == "*" || entry == tag || entry == "W/" + tag
        }
    }

    enum Part: Equatable {
        case part(Range<Int64>)
        case outside
    }

    /// Reads `bytes=1-2`, `bytes=1-` or `bytes=-2`. Anything else, lists too, is passed over: `nil`.
    static func range(_ header: String, of length: Int64) -> Part? {
        guard header.hasPrefix("bytes=") else { return nil }
        let sides = header.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard sides.count == 2, sides.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else {
            return nil
        }
        switch (Int64(sides[0]), Int64(sides[1])) {
        case (let first?, let last?) where first > last: return nil
        case (let first?, let last?) where first < length: return .part(first..<min(last, length - 1) + 1)
        case (let first?, nil) where sides[1].isEmpty && first < length: return .part(first..<length)
        case (nil, let count?) where sides[0].isEmpty && count > 0 && length > 0:
            return .part(max(0, length - count)..<length)
        case (nil, nil): return nil
        default: return .outside
        }
    }
}
