internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

extension SlidingAssembly {
    /// Adds a room to the answer.
    mutating func write(_ room: SlidingRoom, _ id: RoomID, _ wanted: SlidingRoomList.Wanted) throws {
        hasNews = true
        let entries = room.timeline?.entries ?? []
        shown[id] = Shown(isWhole: room.isInitial || room.isExpanded, events: entries.map(\.event.id))
        var writer = JSONWriter()
        writer.beginObject()
        if let bumpStamp = room.bumpStamp {
            writer.key("bump_stamp")
            writer.integer(bumpStamp)
        }
        if request.shape == .stable {
            writer.key("membership")
            writer.string(room.membership.rawValue)
            if !wanted.lists.isEmpty {
                writer.key("lists")
                writer.value(.array(wanted.lists.sorted().map { .string($0) }))
            }
        }
        if room.isInitial { writer.flag("initial") }
        if room.isExpanded { writer.flag(request.shape.expandedTimelineKey) }
        if case .now(let name) = room.name { write("name", name, into: &writer) }
        if case .now(let avatar) = room.avatar { write("avatar", avatar, into: &writer) }
        if let isDirect = room.isDirect {
            writer.key("is_dm")
            writer.bool(isDirect)
        }
        if let heroes = room.heroes { write(heroes, into: &writer) }
        if let members = room.members {
            writer.key("joined_count")
            writer.integer(members.joined)
            writer.key("invited_count")
            writer.integer(members.invited)
        }
        if let unread = room.unread {
            writer.key("notification_count")
            writer.integer(unread.notifications)
            writer.key("highlight_count")
            writer.integer(unread.highlights)
        }
        if let stripped = room.stripped {
            writer.key(request.shape.strippedStateKey)
            writer.raw(stripped)
        }
        try writeEvents(of: room, into: &writer)
        writer.endObject()
        rooms.key(id.text)
        rooms.raw(writer.bytes)
    }

    /// A field that may have been taken away, of which the older shape says nothing but of avatars.
    private func write(_ key: String, _ text: String?, into writer: inout JSONWriter) {
        if let text {
            writer.key(key)
            writer.string(text)
        } else if request.shape == .stable || key == "avatar" {
            writer.key(key)
            writer.null()
        }
    }

    private func write(_ heroes: [SlidingRoom.Hero], into writer: inout JSONWriter) {
        writer.key("heroes")
        writer.value(
            .array(
                heroes.map { hero in
                    .fields([
                        "user_id": .string(hero.user.text), "displayname": hero.displayName.map { .string($0) },
                        "avatar_url": hero.avatarURL.map { .string($0) },
                    ])
                }))
    }

    private func writeEvents(of room: SlidingRoom, into writer: inout JSONWriter) throws {
        let entries = room.timeline?.entries ?? []
        let texts = try sync.texts.texts(of: entries.map(\.event) + room.state, connection)
        let deleted = request.shape == .stable ? room.deleted : []
        if !room.state.isEmpty || !deleted.isEmpty || room.departure != nil {
            writer.key("required_state")
            writer.beginArray()
            for event in room.state {
                EventTexts.write(
                    event, texts[event.nid], for: eventReader, membership: nil, withRoomID: false, into: &writer)
            }
            for key in deleted {
                writer.value(["type": .string(key.type.text), "state_key": .string(key.stateKey)])
            }
            if let departure = room.departure { writer.value(departure) }
            writer.endArray()
        }
        guard let timeline = room.timeline else { return }
        let relations = try Aggregations(
            rooms: sync.rooms, texts: sync.texts, reader: eventReader, sealer: sync.environment.sealer,
            connection: connection
        ).of(entries.map(\.event))
        writer.key("timeline")
        writer.beginArray()
        for entry in entries {
            EventTexts.write(
                entry.event, texts[entry.event.nid], for: eventReader, membership: entry.membership,
                withRoomID: false, relations: relations[entry.event.nid], into: &writer)
        }
        writer.endArray()
        writer.key("prev_batch")
        writer.string(timeline.start.description)
        writer.key("limited")
        writer.bool(timeline.isLimited)
        writer.key("num_live")
        writer.integer(timeline.live)
    }
}

extension JSONWriter {
    /// A key that is true.
    fileprivate mutating func flag(_ name: String) {
        key(name)
        bool(true)
    }
}
