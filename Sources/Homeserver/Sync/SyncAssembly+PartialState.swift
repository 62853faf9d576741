internal import HomeserverStorage
internal import MatrixModel

/// Rooms of which the members are not known yet: clients that load members lazily have them at once, others once they are
/// whole. Spec: <https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members>
extension SyncAssembly {
    /// Whether the client wants all members, and so no room without them.
    var hidesPartial: Bool { !request.filter.lazyLoadsMembers }

    /// Whether a room is not shown yet.
    func isHidden(_ room: SyncRoom) -> Bool { room.isPartial && hidesPartial }

    /// Whether a room's members became known since the last sync, or state that had been left out.
    func isWholeNow(_ room: SyncRoom) -> Bool { request.since.map { room.becameWhole(after: $0.events) } ?? false }

    /// Whether the user was joined to a room at the last sync, and shown it.
    func wasJoined(_ room: SyncRoom) throws -> Bool {
        guard let since = request.since, try history.membership(in: room, at: since.events) == .join else {
            return false
        }
        let wasHidden = hidesPartial && room.completed.map { $0 > since.events } ?? false
        return !wasHidden
    }
}
