internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// Events of which the copy that came first was not whole. Whoever passes an event on can change its content: what counts then
/// is the redacted event, until a whole copy comes.
extension RoomWriter {
    /// Gives events that are here redacted, though nobody redacted them, the bodies of whole copies. What clients were told
    /// by `/sync` stays; pages and single events tell it anew.
    /// - Parameters:
    ///   - copies: events of a room with good signatures; the others among them are passed over.
    ///   - known: the events as they are in the log, as far as they are there.
    /// - Throws: `DatabaseError`.
    func restore(_ copies: [VerifiedPDU], of known: [EventID: StoredEvent], in room: RoomID) async throws {
        let whole = copies.map(\.pdu).filter { copy in
            guard let stored = known[copy.id], stored.redactedBy == nil, copy.isCopy(of: stored.pdu) else {
                return false
            }
            return !ContentHash.matches(stored.pdu) && ContentHash.matches(copy)
        }
        guard !whole.isEmpty else { return }
        let now = environment.clock.now()
        let sealer = environment.sealer
        let restored = try await environment.database.groupedWrite { connection in
            let restored = try EventLog(connection, sealer).restore(whole, now: now)
            // No node may go on with what it remembers of the room's head.
            if !restored.isEmpty { try RoomStore(connection).contend(for: room) }
            return restored
        }
        reader.events.forget(restored)
    }
}
