internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Rooms as they are at one moment: their state and newest messages.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync>,
/// <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync>
struct RoomSnapshots {
    private let reading: RoomReading
    private let reader: EventReader
    /// Messages of a room.
    private let limit: Int
    private let connection: any SQLConnection
    private let current: SyncToken
    private let ignored: Set<String>
    private let accountData: [AccountDataStore.Entry]

    init(_ reading: RoomReading, _ requester: Requester, limit: Int, _ connection: any SQLConnection) throws {
        self.reading = reading
        reader = reading.reader(requester)
        self.limit = limit
        self.connection = connection
        let sealer = reading.environment.sealer
        current = SyncToken(try StreamPositions(connection).current())
        ignored = try IgnoredUsers.of(requester.user, sealer, connection)
        accountData = try AccountDataStore(connection, sealer).all(requester.user)
    }

    /// All rooms of the user, presence, and account data.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func everything(includingLeft: Bool) throws -> [UInt8] {
        let user = reader.user
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("end")
        writer.string(current.description)
        writer.key("presence")
        writer.beginArray()
        if reading.environment.configuration.presence.isEnabled {
            let found = try PresenceStore(connection).changes(for: user, after: 0, upTo: current.presence)
            for presence in found where presence.state != "offline" {
                PresenceContent.writeEvent(presence, now: reader.now, into: &writer)
            }
        }
        writer.endArray()
        writer.key("account_data")
        writer.beginArray()
        for entry in accountData where entry.room == nil { writer.accountData(entry) }
        writer.endArray()
        writer.key("rooms")
        writer.beginArray()
        let blocksInvites = try InviteBlocking.isOn(for: user, reading.environment.sealer, connection)
        for room in try SyncRooms(connection).all(of: user, includingLeft: includingLeft).sorted(by: { $0.nid < $1.nid }
        )
        where !room.isPartial {
            switch room.membership {
            case .invite, .knock: if !blocksInvites { try writeInvited(room, into: &writer) }
            case .join, .leave, .ban:
                guard let access = try RoomAccess.ifAllowed(room.id, user: user, rooms: reading.rooms, connection)
                else { continue }
                try write(access, into: &writer)
            }
        }
        let invites =
            try blocksInvites
            ? [] : RoomStore(connection).invites(of: user, sealer: reading.environment.sealer)
        for invite in invites where invite.membership == .invite && !ignored.contains(invite.sender.text) {
            guard
                let pdu = try? PDU(
                    trusted: invite.event, id: invite.eventID, roomID: invite.roomID, version: invite.version)
            else { continue }
            writeInvite(pdu, into: &writer)
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// One room the user may read.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func write(_ access: RoomAccess, into writer: inout JSONWriter) throws {
        let room = access.room
        let timeline = TimelineReading(
            rooms: reading.rooms, connection: connection, visibility: access.visibility, filter: .all,
            ignored: ignored)
        let end = access.end ?? current.events
        let found = try timeline.read(after: nil, upTo: end, limit: limit, newestFirst: true)
        writer.beginObject()
        writer.key("room_id")
        writer.string(room.id.text)
        if let membership = access.membership?.membership, membership != .knock {
            writer.key("membership")
            writer.string(membership.rawValue)
        }
        writer.key("visibility")
        writer.string(room.isPublished ? "public" : "private")
        writer.key("messages")
        writer.beginObject()
        writer.key("start")
        writer.string(TimelineToken(before: found.reached ?? end + 1).description)
        writer.key("end")
        // The stream of events goes on from here as well.
        writer.string(access.end == nil ? current.description : TimelineToken(after: end).description)
        writer.key("chunk")
        writer.beginArray()
        try reading.write(
            found.entries.reversed().map { ($0.event, $0.membership) }, for: reader, into: &writer, connection)
        writer.endArray()
        writer.endObject()
        writer.key("state")
        writer.beginArray()
        let state = try reading.rooms.state(at: access.root, in: connection).values.sorted { $0.nid < $1.nid }
        try reading.write(state.map { ($0, nil) }, for: reader, into: &writer, connection)
        writer.endArray()
        writer.key("account_data")
        writer.beginArray()
        for entry in accountData where entry.room == room.id { writer.accountData(entry) }
        writer.endArray()
        writer.endObject()
    }

    private func writeInvited(_ room: SyncRoom, into writer: inout JSONWriter) throws {
        guard room.membership == .invite,
            let event = try reading.rooms.events.events([room.memberNID], from: reading.rooms.log(connection))[
                room.memberNID],
            !ignored.contains(event.pdu.sender.text)
        else { return }
        writeInvite(event.pdu, into: &writer)
    }

    private func writeInvite(_ event: PDU, into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("room_id")
        writer.string(event.roomID.text)
        writer.key("membership")
        writer.string("invite")
        writer.key("invite")
        ClientEvent.write(event, into: &writer, withRoomID: true)
        writer.endObject()
    }
}
