internal import Cryptography
public import HomeserverStorage
internal import MatrixAPI
public import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// A room that is to be made: its create event and what follows, in order.
public struct NewRoom: Sendable {
    public var version: RoomVersion
    public var creator: UserID
    /// The content of `m.room.create`; the version (and the creator, where the version has it) is set.
    public var createContent: JSONValue
    /// The events after it: type, state key, content, all by the creator unless a sender is given.
    public var events: [(type: EventType, stateKey: String?, content: JSONValue, sender: UserID?)] = []
    public var alias: RoomAlias?
    public var isPublished = false

    /// A room with nothing but its create event yet.
    public init(version: RoomVersion, creator: UserID, createContent: JSONValue = [:]) {
        self.version = version
        self.creator = creator
        self.createContent = createContent
    }
}

extension RoomWriter {
    /// Makes a room in one transaction: all of its first events, or none.
    /// - Throws: `MatrixError`: `M_INVALID_ROOM_STATE` when an event is not allowed after those before it,
    ///   `M_ROOM_IN_USE` when the alias is taken, `M_BAD_JSON`, `M_TOO_LARGE`; `DatabaseError`.
    public func create(_ room: NewRoom) async throws -> RoomRecord {
        for _ in 1..<RoomLimits.appendAttempts {
            do {
                return try await createOnce(room)
            } catch let error as DatabaseError where error.kind == .constraint {
                // Another node made the same room within the same millisecond: it has the name.
                continue
            }
        }
        return try await createOnce(room)
    }

    private func createOnce(_ room: NewRoom) async throws -> RoomRecord {
        let rules = room.version.rules
        var content = room.createContent
        content["room_version"] = .string(room.version.text)
        if !rules.authorization.creatorIsSender { content["creator"] = .string(room.creator.text) }
        let draft = EventDraft(
            type: .create, sender: room.creator, stateKey: "", content: content,
            roomID: rules.roomIDIsCreateEventHash ? nil : try newRoomID())
        let number = try await environment.database.groupedWrite {
            try NumberBlocks($0).take(.room, count: 1).lowerBound
        }
        let nids = try await eventNumbers(room.events.count + 1)
        guard let firstNID = nids.first else { throw MatrixError.unknown }

        // The id of a room of version 12 follows from its create event, which is therefore made first.
        let create: PDU
        do throws(MalformedEvent) {
            create = try draft.seal(
                version: room.version, prev: [], auth: [], depth: 1,
                timestamp: creationTimes.next(now: environment.clock.now()),
                server: environment.serverName, keyID: environment.signingKeys.keyID,
                key: environment.signingKeys.current)
        } catch {
            throw MatrixError(error)
        }
        do throws(Rejection) {
            try authorize(create, given: RoomState(), by: rules, create: create)
        } catch {
            throw MatrixError(.invalidRoomState, error.reason)
        }
        var head = RoomHead(
            record: RoomRecord(
                nid: number, id: create.roomID, version: room.version, headVersion: 0, state: .empty,
                extremities: [], depth: 1))
        head.isComplete = true
        var chain = Chain(head: head)
        let first = StoredEvent(
            nid: firstNID, pdu: create, roomNID: number, position: nil, flags: [], stateAfter: nil, replaces: nil)
        chain.planned.append((-1, first, nil))
        chain.head.advance(past: first)
        for (event, nid) in zip(room.events, nids.dropFirst()) {
            let draft = EventDraft(
                type: event.type, sender: event.sender ?? room.creator, stateKey: event.stateKey,
                content: event.content, roomID: create.roomID)
            do {
                try add(DraftJob(draft: draft), index: -1, nid: nid, to: &chain)
            } catch {
                throw error.code == .forbidden
                    ? MatrixError(.invalidRoomState, "\(event.type.text): \(error.message)") : error
            }
        }
        let (creator, alias, isPublished) = (room.creator, room.alias, room.isPublished)
        let roomID = create.roomID
        _ = try await commit(&chain, jobs: [], isNew: true) { connection in
            if let alias, try !AliasStore(connection).add(alias, room: roomID, creator: creator) {
                throw MatrixError(.roomInUse, "The alias is taken")
            }
            if isPublished { try RoomStore(connection).setPublished(true, room: number) }
        }
        return chain.head.record
    }

    /// `!opaque:server`, for versions before 12.
    private func newRoomID() throws(MatrixError) -> RoomID {
        do {
            return try RoomID("!\(environment.random.token(24)):\(environment.serverName.text)")
        } catch {
            throw MatrixError.unknown
        }
    }
}
