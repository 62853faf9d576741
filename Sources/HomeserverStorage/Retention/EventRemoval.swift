internal import SQLDatabase

/// What goes with events that are taken out of the log. A table whose rows are named by `event_nid`, and that is not cleaned
/// by itself, is listed here; `TableBoundsTests` looks for those that are not.
enum EventRemoval {
    /// Tables of which a row belongs to one event and goes with it.
    static let tables = ["event_relations", "sticky_events", "auth_edges", "auth_positions"]
    /// Tables with such a column whose rows have another end: what is not sent goes when a destination is looked at, a
    /// member's row with the room, for its event is of the current state; words go by `SearchStore`.
    static let others: Set<String> = ["events", "outbox", "room_members", "search_queue", "search_text"]

    /// Statements that take events out, with all that is only about them.
    static func statements(for nids: [Int64], room: Int64) -> [SQL] {
        var statements: [SQL] = []
        for chunk in nids.chunks(of: Limits.bindsPerStatement) {
            // Their words are taken away by who keeps words.
            statements.append(SearchStore.queueing(nids: chunk))
            statements += tables.map { "DELETE FROM \(raw: $0) WHERE event_nid IN \(list: chunk)" }
            statements.append("DELETE FROM auth_links WHERE chain IN \(list: chunk)")
            statements.append(
                "DELETE FROM pending_redactions WHERE room_nid = \(room) AND redaction_nid IN \(list: chunk)")
            statements.append("DELETE FROM events WHERE event_nid IN \(list: chunk)")
        }
        return statements
    }

    /// Tells all nodes' caches that events are not there any more.
    static func notify(_ nids: [Int64], _ connection: any SQLConnection) throws {
        for start in stride(from: 0, to: nids.count, by: Limits.bindsPerStatement) {
            let part = nids[start..<min(start + Limits.bindsPerStatement, nids.count)]
            try connection.notify("redacted " + part.map { String($0) }.joined(separator: " "))
        }
    }
}
