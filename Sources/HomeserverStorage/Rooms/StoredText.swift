/// Text of foreign events for columns: U+0000, which PostgreSQL cannot hold, is escaped so that no two texts meet.
enum StoredText {
    private static let escape: Unicode.Scalar = "\u{10FFFF}"

    static func stored(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0 == "\0" || $0 == escape }) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\0": result.append(contentsOf: [escape, "0"])
            case escape: result.append(contentsOf: [escape, "1"])
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    static func original(_ stored: String) -> String {
        guard stored.unicodeScalars.contains(escape) else { return stored }
        var result = String.UnicodeScalarView()
        var isEscaped = false
        for scalar in stored.unicodeScalars {
            if isEscaped {
                result.append(scalar == "0" ? "\0" : escape)
                isEscaped = false
            } else if scalar == escape {
                isEscaped = true
            } else {
                result.append(scalar)
            }
        }
        return String(result)
    }
}
