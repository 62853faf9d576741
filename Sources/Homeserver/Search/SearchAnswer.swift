internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Writes what was found.
struct SearchAnswer {
    let reading: RoomReading
    let wish: SearchRequest
    let reader: EventReader
    let found: SearchFinding.Found
    let connection: any SQLConnection

    /// - Throws: `DatabaseError`, `CorruptState`.
    func bytes() throws -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("search_categories")
        writer.beginObject()
        writer.key("room_events")
        writer.beginObject()
        writer.key("count")
        writer.integer(found.count)
        writer.key("highlights")
        writer.value(.array(found.highlights.map { .string($0) }))
        writer.key("results")
        writer.beginArray()
        for result in found.results { try write(result, into: &writer) }
        writer.endArray()
        if let next = found.next {
            writer.key("next_batch")
            writer.string(next.text)
        }
        if wish.includesState { try writeStates(into: &writer) }
        if !wish.groupings.isEmpty { writeGroups(into: &writer) }
        for _ in 0..<3 { writer.endObject() }
        return writer.bytes
    }

    private func write(_ result: SearchFinding.Result, into writer: inout JSONWriter) throws {
        writer.beginObject()
        writer.key("rank")
        writer.number(result.candidate.rank.isFinite ? result.candidate.rank : 0)
        writer.key("result")
        try reading.write([(result.event, result.membership)], for: reader, into: &writer, connection)
        if let context = wish.context { try write(context, of: result, into: &writer) }
        writer.endObject()
    }

    private func write(
        _ context: SearchRequest.Context, of result: SearchFinding.Result, into writer: inout JSONWriter
    ) throws {
        let timeline = TimelineReading(
            rooms: reading.rooms, connection: connection, visibility: result.access.visibility, filter: .all,
            ignored: try IgnoredUsers.of(reader.user, reading.rooms.sealer, connection))
        let place = result.candidate.position
        let before = try timeline.read(after: nil, upTo: place - 1, limit: context.before, newestFirst: true)
        let after = try timeline.read(
            after: place, upTo: result.access.end, limit: context.after, newestFirst: false)
        writer.key("context")
        writer.beginObject()
        writer.key("start")
        writer.string(TimelineToken(before: before.reached ?? place).description)
        writer.key("end")
        writer.string(TimelineToken(after: after.reached ?? place).description)
        for (name, entries) in [("events_before", before.entries), ("events_after", after.entries)] {
            writer.key(name)
            writer.beginArray()
            try reading.write(entries.map { ($0.event, $0.membership) }, for: reader, into: &writer, connection)
            writer.endArray()
        }
        if context.includesProfiles {
            let own = TimelineWindow.Entry(event: result.event, position: place, membership: result.membership)
            let entries = before.entries.reversed() + [own] + after.entries
            writer.key("profile_info")
            writer.value(.object(try profiles(of: entries, result.access)))
        }
        writer.endObject()
    }

    /// The names and pictures of those who sent some events, the oldest first, as they were after the last of these.
    private func profiles(
        of entries: [TimelineWindow.Entry], _ access: RoomAccess
    ) throws -> [String: JSONValue] {
        guard let last = entries.last else { return [:] }
        var root = last.event.stateAfter
        if root == nil {
            root = try reading.rooms.log(connection).stateRoot(room: access.room.nid, near: last.position)
        }
        let keys = Set(entries.map { StateKey(.member, $0.event.pdu.sender.text) })
        let members = try reading.rooms.state(at: root ?? access.root, keys: Array(keys), in: connection)
        var profiles: [String: JSONValue] = [:]
        for key in keys {
            let member = members[key].map { RoomMember($0.pdu) }
            profiles[key.stateKey] = .fields([
                "displayname": member?.displayName.map { .string($0) },
                "avatar_url": member?.avatarURL.map { .string($0) },
            ])
        }
        return profiles
    }

    private func writeStates(into writer: inout JSONWriter) throws {
        writer.key("state")
        writer.beginObject()
        var written: Set<Int64> = []
        for result in found.results where written.insert(result.candidate.room).inserted {
            let state = try reading.rooms.state(at: result.access.root, in: connection)
            writer.key(result.access.room.id.text)
            writer.beginArray()
            try reading.write(
                state.values.sorted { $0.nid < $1.nid }.map { ($0, nil) }, for: reader, into: &writer, connection)
            writer.endArray()
        }
        writer.endObject()
    }

    private func writeGroups(into writer: inout JSONWriter) {
        var keys: [String: JSONValue] = [:]
        for grouping in wish.groupings {
            var values: [String: JSONValue] = [:]
            for (order, group) in found.groups.filter({ $0.key == grouping }).enumerated() {
                values[group.value] = .fields([
                    "order": .integer(Int64(order + 1)), "results": .array(group.results.map { .string($0.text) }),
                    "next_batch": group.next.map { .string($0.text) },
                ])
            }
            keys[grouping.rawValue] = .object(values)
        }
        writer.key("groups")
        writer.value(.object(keys))
    }
}
