internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Asks other servers for their room directories.
protocol RemotePublicRooms: Sendable {
    /// The server's answer, as `PublicRooms.page` gives it.
    func publicRooms(at server: ServerName, _ query: PublicRooms.Query) async throws(MatrixError) -> JSONValue
}

/// The rooms this server lists for everybody.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#listing-rooms>
struct PublicRooms: Sendable {
    /// What is looked for.
    struct Query: Sendable {
        var limit: Int?
        /// `next_batch` or `prev_batch` of another page.
        var since: String?
        /// Something in the name, the topic or the alias.
        var term: String?
        /// The types wanted, nil among them for rooms without a type; nil for all.
        var types: [String?]?
    }

    private struct Entry: Sendable {
        var members: Int
        var searched: String
        var type: String?
        var json: JSONValue
    }

    private let rooms: RoomReader
    private let summaries: RoomSummaries
    private let entries = BoundedCache<StateRoot, Entry>(budget: SyncLimits.summaryBytes)

    init(rooms: RoomReader) {
        self.rooms = rooms
        summaries = RoomSummaries(rooms: rooms)
    }

    /// A page of the directory, the largest rooms first.
    /// - Throws: `M_UNKNOWN` for a token that is not ours; `DatabaseError`.
    func page(_ query: Query) async throws -> JSONValue {
        let offset = try query.since.map { text throws(MatrixError) in try Self.offset(text) } ?? 0
        let all = try await rooms.database.read { connection in
            try RoomStore(connection).publishedRooms().compactMap { try entry($0, connection) }
        }
        let term = query.term?.lowercased()
        let found =
            all.filter { entry in
                (term.map { $0.isEmpty || entry.searched.contains($0) } ?? true)
                    && (query.types.map { $0.contains(entry.type) } ?? true)
            }.sorted { ($1.members, $0.searched) < ($0.members, $1.searched) }
        let limit = min(max(query.limit ?? SyncLimits.publicRoomsPage, 1), SyncLimits.publicRoomsPage)
        let page = found.dropFirst(offset).prefix(limit)
        let isLast = offset + page.count >= found.count
        return .fields([
            "chunk": .array(page.map(\.json)), "total_room_count_estimate": .integer(Int64(found.count)),
            "next_batch": isLast ? nil : .string("p1_\(offset + page.count)"),
            "prev_batch": offset > 0 ? .string("p1_\(max(0, offset - limit))") : nil,
        ])
    }

    private static func offset(_ text: String) throws(MatrixError) -> Int {
        guard text.hasPrefix("p1_"), text.utf8.count <= 20, let offset = Int(text.dropFirst(3)),
            (0...Int(Int32.max)).contains(offset)
        else { throw SyncToken.invalid }
        return offset
    }

    private static let types: [EventType] = [
        .create, .name, .topic, .avatar, .canonicalAlias, .joinRules, .historyVisibility, .guestAccess,
    ]

    private func entry(_ room: RoomRecord, _ connection: any SQLConnection) throws -> Entry? {
        if let known = entries.value(room.state) { return known }
        let state = try rooms.state(at: room.state, keys: Self.types.map { StateKey($0, "") }, in: connection)
        func event(_ type: EventType) -> PDU? { state[StateKey(type, "")]?.pdu }
        guard let create = event(.create) else { return nil }
        let members = try summaries.counts(room: room.nid, state: room.state, connection).joined
        let name = event(.name)?.content["name"]?.string
        let topic = event(.topic)?.content["topic"]?.string
        let alias = event(.canonicalAlias).flatMap { CanonicalAlias($0).alias?.text }
        let type = create.content["type"]?.string
        let entry = Entry(
            members: members,
            searched: [name, topic, alias].compactMap { $0 }.joined(separator: "\n").lowercased(), type: type,
            json: .fields([
                "room_id": .string(room.id.text), "num_joined_members": .integer(Int64(members)),
                "world_readable": .bool(HistoryVisibility(event(.historyVisibility)) == .worldReadable),
                "guest_can_join": .bool(GuestAccess(event(.guestAccess)) == .canJoin),
                "name": name.map { .string($0) }, "topic": topic.map { .string($0) },
                "canonical_alias": alias.map { .string($0) },
                "avatar_url": event(.avatar)?.content["url"]?.string.map { .string($0) },
                "join_rule": .string(event(.joinRules)?.content["join_rule"]?.string ?? "invite"),
                "room_type": type.map { .string($0) },
            ]))
        entries.put(room.state, entry, cost: entry.searched.utf8.count * 4 + 1_024)
        return entry
    }
}
