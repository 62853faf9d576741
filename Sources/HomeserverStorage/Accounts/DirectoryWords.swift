internal import MatrixModel

/// Words by which users are found: runs of letters and digits, in small letters.
enum DirectoryWords {
    /// Words of one name, and of one question.
    private static let most = 16
    /// Bytes of a word; longer ones are cut.
    private static let longest = 64

    /// The words of a text, in their order.
    static func words(of text: String) -> [String] {
        text.lowercased().split { !$0.isLetter && !$0.isNumber }.prefix(most).map { cut(String($0)) }
    }

    /// The words by which a user is found. The whole localpart with its `@` is one of them.
    static func words(of user: UserID, displayName: String?) -> Set<String> {
        Set(words(of: user.localpart) + words(of: displayName ?? "") + [cut("@" + user.localpart.lowercased())])
    }

    /// The words that somebody looks for. A user id, or the beginning of one, counts as one word.
    static func wanted(_ term: String) -> [String] {
        let text = term.lowercased()
        guard text.hasPrefix("@"), text.utf8.count > 1 else { return words(of: text) }
        return [cut(String(text.prefix { $0 != ":" }))]
    }

    /// The words from a beginning on, as bytes: from the first that begins so, to before the first after them.
    static func range(of beginning: String) -> (from: [UInt8], to: [UInt8]) {
        let from = Array(beginning.utf8)
        var to = from
        // UTF-8 has no 0xFF, so that the last byte can be counted up.
        if let last = to.popLast() { to.append(last &+ 1) }
        return (from, to)
    }

    private static func cut(_ word: String) -> String {
        var word = word.replacing("\0", with: "")
        while word.utf8.count > longest { word.removeLast() }
        return word
    }
}
