public import MatrixModel
internal import SQLDatabase

/// Bodies that come after their events.
extension EventLog {
    /// Gives events that are in the log the bodies of whole copies, unless a redaction has taken theirs, and notes what follows
    /// from what they say. All nodes are notified, as of a redaction.
    /// - Parameters:
    ///   - copies: each a copy of the event that has its id here.
    ///   - now: milliseconds since 1970.
    /// - Returns: the numbers of those that changed.
    /// - Throws: `DatabaseError`.
    public func restore(_ copies: [PDU], now: Int64) throws -> [Int64] {
        let known = try events(ids: copies.map(\.id))
        var restored: [Int64] = []
        for copy in copies {
            guard let stored = known[copy.id], copy.isCopy(of: stored.pdu) else { continue }
            let body = try sealer.seal(copy.canonicalJSON, context: "event:" + copy.id.text)
            let isChanged =
                try connection.execute(
                    "UPDATE events SET body = \(body) WHERE event_nid = \(stored.nid) AND redacted_by IS NULL") == 1
            guard isChanged else { continue }
            restored.append(stored.nid)
            for note in notes(of: copy, stored, now: now) { try connection.execute(note) }
        }
        for chunk in restored.map({ String($0) }).chunks(of: Limits.bindsPerStatement) {
            try connection.notify("redacted " + chunk.joined(separator: " "))
        }
        return restored
    }

    /// What is noted beside an event's row of what it says.
    private func notes(of event: PDU, _ stored: StoredEvent, now: Int64) -> [SQL] {
        var statements: [SQL] = []
        if event.type == .member {
            let member = RoomMember(event)
            statements.append(
                """
                UPDATE room_members SET displayname = \(member.displayName.map(StoredText.stored)),
                avatar_url = \(member.avatarURL.map(StoredText.stored))
                WHERE room_nid = \(stored.roomNID) AND event_nid = \(stored.nid)
                """)
        }
        guard stored.position != nil else { return statements }
        if let note = RelationStore.noting(event, nid: stored.nid, room: stored.roomNID) { statements.append(note) }
        if let note = StickyEventStore.noting(event, nid: stored.nid, room: stored.roomNID, now: now) {
            statements.append(note)
        }
        if SearchStore.concerns(event) { statements.append(SearchStore.queueing(nid: stored.nid)) }
        return statements
    }
}
