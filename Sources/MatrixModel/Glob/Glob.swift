/// A pattern in which `*` stands for any characters and `?` for one, compared without regard to case. A character is a
/// Unicode code point; case is folded as Swift's `lowercased()` does.
///
/// Matching never takes more steps than the product of both lengths, whatever the pattern.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#glob-style-matching>
public struct Glob: Sendable, Hashable {
    /// A text made ready for many patterns.
    public struct Text: Sendable, Hashable {
        /// The code points in lower case.
        let letters: [UInt32]

        /// Folds the case of a text.
        public init(_ text: String) {
            if text.utf8.allSatisfy({ $0 < 0x80 }) {
                letters = text.utf8.map { UInt32((0x41...0x5A).contains($0) ? $0 | 0x20 : $0) }
            } else {
                letters = text.lowercased().unicodeScalars.map(\.value)
            }
        }
    }

    /// Above all code points.
    private static let anyRun = UInt32.max
    private static let anyOne = UInt32.max - 1

    private let tokens: [UInt32]
    /// Whether it has neither `*` nor `?`.
    public let isLiteral: Bool

    /// `nil` if the pattern is longer than `GlobLimits.tokens`.
    public init?(_ pattern: String) {
        var tokens: [UInt32] = []
        for letter in Text(pattern).letters {
            switch letter {
            case 0x2A:
                if tokens.last != Self.anyRun { tokens.append(Self.anyRun) }
            case 0x3F: tokens.append(Self.anyOne)
            default: tokens.append(letter)
            }
            if tokens.count > GlobLimits.tokens { return nil }
        }
        self.tokens = tokens
        isLiteral = !tokens.contains { $0 >= Self.anyOne }
    }

    /// The most steps that matching a text can take.
    public func cost(of text: Text) -> Int {
        isLiteral ? text.letters.count : (tokens.count + 1) * (text.letters.count + 1)
    }

    /// Whether the pattern matches the whole text.
    public func matches(_ text: String) -> Bool { matches(Text(text)) }

    /// Whether the pattern matches the whole text.
    public func matches(_ text: Text) -> Bool {
        let letters = text.letters
        if isLiteral { return letters == tokens }
        var position = 0
        var token = 0
        // Where to go on when the rest does not match: behind the last `*`, which then takes one letter more. An earlier
        // `*` need never take more, so there is one such place.
        var retry: (position: Int, token: Int)?
        while position < letters.count {
            if token < tokens.count, tokens[token] == Self.anyRun {
                token += 1
                retry = (position, token)
            } else if token < tokens.count, tokens[token] == Self.anyOne || tokens[token] == letters[position] {
                position += 1
                token += 1
            } else if let last = retry {
                position = last.position + 1
                token = last.token
                retry = (position, token)
            } else {
                return false
            }
        }
        return tokens[token...].allSatisfy { $0 == Self.anyRun }
    }

    /// Whether the pattern matches a part of the text that starts and ends at a word boundary.
    public func matchesWords(in text: String) -> Bool { matchesWords(in: Text(text)) }

    /// Whether the pattern matches a part of the text that starts and ends at a word boundary: at an end of the text, or
    /// beside a character other than `A-Z`, `a-z`, `0-9`, `_`.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#push-rules>
    public func matchesWords(in text: Text) -> Bool {
        let letters = text.letters
        if isLiteral { return matchesLiteralWords(in: letters) }
        // Which numbers of tokens may have been used up, for parts that end here.
        var reached = [Bool](repeating: false, count: tokens.count + 1)
        for position in 0...letters.count {
            if Self.isBoundary(letters, position) { reached[0] = true }
            for token in tokens.indices where tokens[token] == Self.anyRun && reached[token] {
                reached[token + 1] = true
            }
            if reached[tokens.count], Self.isBoundary(letters, position) { return true }
            guard position < letters.count else { break }
            let letter = letters[position]
            for count in stride(from: tokens.count, to: 0, by: -1) {
                let stays = count < tokens.count && tokens[count] == Self.anyRun && reached[count]
                let token = tokens[count - 1]
                reached[count] = stays || reached[count - 1] && (token == Self.anyOne || token == letter)
            }
            reached[0] = reached[0] && tokens.first == Self.anyRun
        }
        return false
    }

    private func matchesLiteralWords(in letters: [UInt32]) -> Bool {
        guard tokens.count <= letters.count else { return false }
        for start in 0...letters.count - tokens.count where Self.isBoundary(letters, start) {
            let end = start + tokens.count
            if Self.isBoundary(letters, end), letters[start..<end].elementsEqual(tokens) { return true }
        }
        return false
    }

    private static func isBoundary(_ letters: [UInt32], _ position: Int) -> Bool {
        position == 0 || position == letters.count || !isWord(letters[position - 1]) || !isWord(letters[position])
    }

    private static func isWord(_ letter: UInt32) -> Bool {
        switch letter {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: true
        default: false
        }
    }
}
