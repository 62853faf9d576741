private import Glibc
internal import HTTPMessages
internal import HTTPTypes
internal import MatrixModel

/// The form in which servers give each other media: JSON metadata, then the file. RFC 2046, 5.1.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid>
enum MultipartMixed {
    /// What another server gave.
    enum Content: Equatable {
        case file(ArraySlice<UInt8>, contentType: String?, disposition: String?)
        /// The file lies at another URL.
        case location(String)
    }

    /// Why an answer cannot be read. For the log.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// The `boundary` of a `Content-Type`; `nil` for another type or a boundary outside of the RFC's grammar.
    static func boundary(of contentType: String) -> String? {
        guard contentType.utf8.count <= 512 else { return nil }
        let header = HeaderParameters.parse(contentType)
        guard header.value.lowercased() == "multipart/mixed",
            let boundary = header.parameters.first(where: { $0.name == "boundary" })?.value,
            (1...70).contains(boundary.utf8.count), boundary.utf8.last != 0x20,
            boundary.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else { return nil }
        return boundary
    }

    /// What stands before the file: the fields of its part, and where it begins.
    struct Beginning {
        let fields: [String: String]
        let position: Int
    }

    /// Reads exactly two parts. The file is a slice of `body`, which is not copied.
    static func read(_ body: [UInt8], boundary: String) throws(Malformed) -> Content {
        let beginning = try beginning(of: body, boundary: boundary)
        let lineDelimiter = delimiter(boundary)
        guard let end = find(lineDelimiter, in: body, from: beginning.position, upTo: body.count) else {
            throw Malformed("no last delimiter")
        }
        let after = end + lineDelimiter.count
        guard after + 2 <= body.count, body[after] == 0x2D, body[after + 1] == 0x2D else {
            throw Malformed("more than two parts")
        }
        if let location = beginning.fields["location"] { return .location(location) }
        return .file(
            body[beginning.position..<end], contentType: beginning.fields["content-type"],
            disposition: beginning.fields["content-disposition"])
    }

    /// What ends a part.
    static func delimiter(_ boundary: String) -> [UInt8] { Array("\r\n--\(boundary)".utf8) }

    /// Reads the metadata and the header of the file.
    static func beginning(of body: [UInt8], boundary: String) throws(Malformed) -> Beginning {
        let lineDelimiter = delimiter(boundary)
        var position: Int
        if body.starts(with: lineDelimiter.dropFirst(2)) {
            position = lineDelimiter.count - 2
        } else {
            guard let found = find(lineDelimiter, in: body, from: 0, upTo: MediaLimits.multipartPreamble) else {
                throw Malformed("no first delimiter")
            }
            position = found + lineDelimiter.count
        }
        // The first part: metadata, whose members we do not know yet.
        try endLine(body, &position)
        _ = try header(body, &position)
        guard
            let metadataEnd = find(
                lineDelimiter, in: body, from: position, upTo: position + MediaLimits.multipartMetadata)
        else { throw Malformed("no second delimiter") }
        let metadata = Array(body[position..<metadataEnd])
        guard let document = try? JSONDocument(metadata), document.root.kind == .object else {
            throw Malformed("the metadata is not a JSON object")
        }
        // The second: the file.
        position = metadataEnd + lineDelimiter.count
        try endLine(body, &position)
        let fields = try header(body, &position)
        return Beginning(fields: fields, position: position)
    }

    /// Passes over the end of a delimiter's line.
    private static func endLine(_ body: [UInt8], _ position: inout Int) throws(Malformed) {
        while position < body.count, body[position] == 0x20 || body[position] == 0x09 { position += 1 }
        guard position + 2 <= body.count, body[position] == 0x0D, body[position + 1] == 0x0A else {
            throw Malformed("a delimiter does not end its line")
        }
        position += 2
    }

    /// Reads a part's header fields, names in lower case, up to the empty line.
    private static func header(_ body: [UInt8], _ position: inout Int) throws(Malformed) -> [String: String] {
        var fields: [String: String] = [:]
        let limit = position + MediaLimits.multipartHeader
        for _ in 0...MediaLimits.multipartHeaderLines {
            guard let end = find([0x0D, 0x0A], in: body, from: position, upTo: limit) else {
                throw Malformed("a part's header does not end")
            }
            let line = body[position..<end]
            position = end + 2
            if line.isEmpty { return fields }
            guard let colon = line.firstIndex(of: 0x3A), let text = String(validating: line, as: UTF8.self) else {
                throw Malformed("a part's header is not text")
            }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            let value = text.drop { $0 != ":" }.dropFirst()
            fields[name] = fields[name] ?? HeaderParameters.trimmed(value)
        }
        throw Malformed("a part has too many header fields")
    }

    /// Where a pattern begins, at or after `start` and before `limit`.
    static func find(_ pattern: [UInt8], in body: [UInt8], from start: Int, upTo limit: Int) -> Int? {
        let end = min(body.count, limit.addingReportingOverflow(pattern.count).partialValue)
        guard start >= 0, start < end else { return nil }
        return body.withUnsafeBytes { body in
            guard let base = body.baseAddress, let first = pattern.first else { return nil }
            var position = start
            while end - position >= pattern.count,
                let found = memchr(base + position, Int32(first), end - position - pattern.count + 1)
            {
                position = base.distance(to: UnsafeRawPointer(found))
                if memcmp(found, pattern, pattern.count) == 0 { return position }
                position += 1
            }
            return nil
        }
    }

    /// A file as the second of two parts.
    static func body(
        _ file: StoredFile, contentType: String, fileName: String?, boundary: String
    ) -> HTTPBody {
        let disposition = ContentDisposition.header(contentType: contentType, fileName: fileName)
        let start = Array(
            """
            --\(boundary)\r\nContent-Type: application/json\r\n\r\n{}\r\n--\(boundary)\r\n\
            Content-Type: \(contentType)\r\nContent-Disposition: \(disposition)\r\n\r\n
            """.utf8)
        let end = Array("\r\n--\(boundary)--\r\n".utf8)
        return file.body(0..<file.length, between: start, and: end)
    }
}
