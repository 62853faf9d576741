public import HomeserverStorage
internal import MatrixAPI
public import MatrixModel
internal import MatrixRooms

/// An event that was made and judged, and is not in the log yet.
public struct BuiltEvent: Sendable {
    public var pdu: PDU
    /// The state before it, stored.
    public var stateBefore: StateRoot
    /// How far the room was known when that was worked out.
    public var knowledge: RoomKnowledge
    /// The other servers in the room.
    public var servers: [ServerName]
    /// What others may see of the room beside the event: the events of the stripped types.
    public var describingState: [PDU]
}

/// What another server needs to make an event of one of its users.
public struct EventTemplate: Sendable {
    public var version: RoomVersion
    public var prevEvents: [StoredEvent]
    public var authEvents: [StoredEvent]
    public var depth: Int64
    /// The auth state the template was made of.
    public var create: PDU
}

extension RoomWriter {
    /// Makes an event on the room's head without appending it: for one that another server signs first. Append it with
    /// `append(_:to:)`; when the room went on meanwhile, the fork is merged.
    /// - Throws: `MatrixError`, as `send`; `DatabaseError`.
    public func build(_ draft: EventDraft) async throws -> BuiltEvent {
        guard let room = draft.roomID else { throw MatrixError.unknown }
        let head = try await head(of: room, lane: lanes.lane(of: room), for: [draft])
        let pdu = try await recommended(
            try builder.build(draft, on: head, timestamp: environment.clock.now()), by: head.policy)
        let keys = StrippedState.types.map { StateKey($0, "") } + [StateKey(.member, draft.sender.text)]
        let state = try await reader.state(at: head.record.state, keys: keys)
        return BuiltEvent(
            pdu: pdu, stateBefore: head.base, knowledge: head.record.knowledge,
            servers: (head.servers ?? []).filter { $0 != environment.serverName },
            describingState: keys.compactMap { state[$0]?.pdu })
    }

    /// The previous and auth events of an event that a user of another server wants to send.
    /// - Throws: `MatrixError` `M_FORBIDDEN` when the room is not known; `DatabaseError`.
    public func template(for draft: EventDraft) async throws -> EventTemplate {
        guard let room = draft.roomID else { throw MatrixError.unknown }
        let head = try await head(of: room, lane: lanes.lane(of: room), for: [draft])
        guard let create = head.create else { throw MatrixError.unknown }
        return EventTemplate(
            version: head.record.version, prevEvents: head.prev,
            authEvents: builder.authEvents(for: draft, on: head), depth: builder.depth(on: head), create: create)
    }
}
