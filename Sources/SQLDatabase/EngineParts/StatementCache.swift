/// The prepared statements of one connection, by their text. Holds a bounded number; the longest unused go first.
package struct StatementCache<Statement> {
    private var entries: [String: (statement: Statement, lastUse: UInt64)] = [:]
    private var uses: UInt64 = 0
    private let limit: Int

    package init(limit: Int) {
        self.limit = max(limit, 4)
    }

    /// The statement of a text, counted as used.
    package mutating func statement(_ text: String) -> Statement? {
        guard let index = entries.index(forKey: text) else { return nil }
        uses &+= 1
        entries.values[index].lastUse = uses
        return entries.values[index].statement
    }

    /// Keeps a statement.
    /// - Returns: those that had to go, for the engine to release.
    package mutating func insert(_ statement: Statement, for text: String) -> [Statement] {
        uses &+= 1
        entries[text] = (statement, uses)
        guard entries.count > limit else { return [] }
        // A quarter at once, so that the sort is paid for by many insertions.
        let oldest = entries.sorted { $0.value.lastUse < $1.value.lastUse }.prefix(limit / 4)
        return oldest.compactMap { entries.removeValue(forKey: $0.key)?.statement }
    }

    /// Forgets all.
    package mutating func removeAll() {
        entries = [:]
    }
}
