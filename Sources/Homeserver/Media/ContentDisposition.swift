internal import HTTPMessages

/// The header that says whether a browser shows a file and what it is called. RFC 6266.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content>
enum ContentDisposition {
    /// The types that cannot run anything where they are shown.
    private static let inlineTypes: Set<String> = [
        "text/css", "text/plain", "text/csv", "application/json", "application/ld+json", "image/jpeg", "image/gif",
        "image/png", "image/apng", "image/webp", "image/avif", "video/mp4", "video/webm", "video/ogg",
        "video/quicktime", "audio/mp4", "audio/webm", "audio/aac", "audio/mpeg", "audio/ogg", "audio/wave",
        "audio/wav", "audio/x-wav", "audio/x-pn-wav", "audio/flac", "audio/x-flac",
    ]

    /// The header for a file of a type.
    static func header(contentType: String, fileName: String?) -> String {
        let essence = contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        let kind = inlineTypes.contains(essence) ? "inline" : "attachment"
        guard let name = fileName.flatMap(cleaned) else { return kind }
        if name.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != 0x25 }) {
            let quoted = name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return "\(kind); filename=\"\(quoted)\""
        }
        return "\(kind); filename*=utf-8''\(PercentEncoding.encode(name))"
    }

    /// The file name of another server's header, cleaned; `filename*` goes before `filename`.
    static func fileName(in header: String) -> String? {
        guard header.utf8.count <= 4 * MediaLimits.fileName + 64 else { return nil }
        var plain: String?
        for (name, value) in HeaderParameters.parse(header).parameters {
            switch name {
            case "filename*":
                let parts = value.split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
                if parts.count == 3, parts[0].lowercased() == "utf-8", let decoded = PercentEncoding.decode(parts[2]) {
                    return cleaned(decoded)
                }
            case "filename": plain = plain ?? value
            default: break
            }
        }
        return plain.flatMap(cleaned)
    }

    /// A name without control characters, at most 255 bytes long; `nil` when nothing is left.
    static func cleaned(_ name: String) -> String? {
        var cleaned = ""
        var count = 0
        for character in name.unicodeScalars where character.value >= 0x20 && !(0x7F...0x9F).contains(character.value) {
            count += String(character).utf8.count
            if count > MediaLimits.fileName { break }
            cleaned.unicodeScalars.append(character)
        }
        return cleaned.isEmpty ? nil : cleaned
    }
}

/// A header of a value and parameters: `text/plain; charset=utf-8`.
enum HeaderParameters {
    /// The value as it stands, and the parameters with their names in lower case.
    static func parse(_ header: String) -> (value: String, parameters: [(name: String, value: String)]) {
        var parts: [String] = [""]
        var isQuoted = false
        var isEscaped = false
        for character in header.unicodeScalars {
            if isEscaped {
                isEscaped = false
            } else if isQuoted, character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isQuoted.toggle()
            } else if character == ";", !isQuoted {
                parts.append("")
                continue
            }
            parts[parts.count - 1].unicodeScalars.append(character)
        }
        var parameters: [(name: String, value: String)] = []
        for part in parts.dropFirst() {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else { continue }
            parameters.append((trimmed(sides[0]).lowercased(), unquoted(trimmed(sides[1]))))
        }
        return (trimmed(parts[0][...]), parameters)
    }

    static func trimmed(_ text: Substring) -> String {
        func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }
        var text = text.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        return String(text)
    }

    private static func unquoted(_ text: String) -> String {
        guard text.hasPrefix("\""), text.hasSuffix("\""), text.utf8.count >= 2 else { return text }
        var result = String.UnicodeScalarView()
        var isEscaped = false
        for character in text.unicodeScalars.dropFirst().dropLast() {
            if !isEscaped, character == "\\" {
                isEscaped = true
                continue
            }
            isEscaped = false
            result.append(character)
        }
        return String(result)
    }
}
