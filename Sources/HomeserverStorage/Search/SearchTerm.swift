/// What a user searches for: all of some words, each also as the beginning of a longer one; words in quotation marks exactly
/// so, one after the other; and none of those with a minus sign before them.
public struct SearchTerm: Sendable, Hashable {
    /// Words that stand one after the other.
    struct Clause: Sendable, Hashable {
        var words: [String]
        /// Whether the last word may go on.
        var isPrefix: Bool
    }

    private(set) var wanted: [Clause] = []
    private(set) var excluded: [Clause] = []

    /// Reads what a user typed; nil where no word is in it that can be looked for.
    public init?(_ text: String) {
        for (piece, isQuoted, isExcluded) in Self.pieces(of: text) {
            let words = Array(SearchWords.of(piece).prefix(Limits.wordsPerClause))
            guard !words.isEmpty, wanted.count + excluded.count < Limits.clausesPerTerm else { continue }
            let clause = Clause(words: words, isPrefix: !isQuoted)
            if isExcluded { excluded.append(clause) } else { wanted.append(clause) }
        }
        if wanted.isEmpty { return nil }
    }

    private static func pieces(of text: String) -> [(text: String, isQuoted: Bool, isExcluded: Bool)] {
        var pieces: [(text: String, isQuoted: Bool, isExcluded: Bool)] = []
        var current = ""
        var (isQuoted, isExcluded) = (false, false)
        func end() {
            if !current.isEmpty { pieces.append((current, isQuoted, isExcluded)) }
            current = ""
        }
        for character in text {
            switch character {
            case "\"":
                end()
                if isQuoted { isExcluded = false }
                isQuoted.toggle()
            case _ where isQuoted: current.append(character)
            case _ where character.isWhitespace:
                end()
                isExcluded = false
            case "-" where current.isEmpty: isExcluded = true
            default: current.append(character)
            }
        }
        end()
        return pieces
    }

    /// The words that are looked for, as they stand in some texts: for marking them.
    public func highlights(in texts: [String]) -> [String] {
        var found: Set<String> = []
        for clause in wanted {
            guard let last = clause.words.last else { continue }
            found.formUnion(clause.words)
            guard clause.isPrefix else { continue }
            for text in texts {
                for word in SearchWords.of(text) where word.hasPrefix(last) && found.count < Limits.highlights {
                    found.insert(word)
                }
            }
        }
        return found.sorted()
    }

    // MARK: For the engines

    /// An expression of FTS5. Words are letters and digits only, so nothing in them needs to be escaped.
    var fullTextExpression: String {
        func written(_ clause: Clause) -> String {
            "\"" + clause.words.joined(separator: " ") + "\"" + (clause.isPrefix ? " *" : "")
        }
        var text = "(" + wanted.map(written).joined(separator: " AND ") + ")"
        if !excluded.isEmpty { text += " NOT (" + excluded.map(written).joined(separator: " OR ") + ")" }
        return "words : (" + text + ")"
    }

    /// A `tsquery` of PostgreSQL.
    var textSearchQuery: String {
        func written(_ clause: Clause) -> String {
            var words = clause.words.map { "'\($0)'" }
            if clause.isPrefix, let last = words.popLast() { words.append(last + ":*") }
            return "(" + words.joined(separator: " <-> ") + ")"
        }
        return (wanted.map(written) + excluded.map { "!" + written($0) }).joined(separator: " & ")
    }
}
