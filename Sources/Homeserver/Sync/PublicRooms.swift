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

    let descriptions: RoomDescriptions

    /// A page of the directory, the largest rooms first.
    /// - Throws: `M_UNKNOWN` for a token that is not ours; `DatabaseError`.
    func page(_ query: Query) async throws -> JSONValue {
        let offset = try query.since.map { text throws(MatrixError) in try Self.offset(text) } ?? 0
        let all = try await descriptions.rooms.database.read { connection in
            try RoomStore(connection).publishedRooms().compactMap {
                try descriptions.describe($0, connection)?.description
            }
        }
        let term = query.term?.lowercased() ?? ""
        let found =
            all.filter { room in
                (term.isEmpty || Self.isFound(term, in: room)) && (query.types.map { $0.contains(room.type) } ?? true)
            }.sorted { ($1.joinedMembers, $0.id) < ($0.joinedMembers, $1.id) }
        let limit = min(max(query.limit ?? SyncLimits.publicRoomsPage, 1), SyncLimits.publicRoomsPage)
        let page = found.dropFirst(offset).prefix(limit)
        let isLast = offset + page.count >= found.count
        return .fields([
            "chunk": .array(page.map(\.listed)), "total_room_count_estimate": .integer(Int64(found.count)),
            "next_batch": isLast ? nil : .string("p1_\(offset + page.count)"),
            "prev_batch": offset > 0 ? .string("p1_\(max(0, offset - limit))") : nil,
        ])
    }

    private static func isFound(_ term: String, in room: RoomDescription) -> Bool {
        ["name", "topic", "canonical_alias"].contains { room.texts[$0]?.lowercased().contains(term) == true }
    }

    private static func offset(_ text: String) throws(MatrixError) -> Int {
        guard text.hasPrefix("p1_"), text.utf8.count <= 20, let offset = Int(text.dropFirst(3)),
            (0...Int(Int32.max)).contains(offset)
        else { throw SyncToken.invalid }
        return offset
    }
}
