internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What lists of rooms are filtered by, and what is shown of a room that has no more.
struct RoomTraits: Sendable, Hashable {
    /// `m.room.name`, unless empty.
    var name: String?
    var avatar: String?
    /// The `type` of `m.room.create`.
    var roomType: String?
    var isEncrypted = false
    var isTombstoned = false

    static let types: [EventType] = [.name, .avatar, .create, .encryption, .tombstone]

    init() {}

    /// The traits of a state, by what its events of `types` contain.
    init(_ content: (EventType) -> JSONView?) {
        name = content(.name)?["name"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        avatar = content(.avatar)?["url"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        roomType = content(.create)?["type"]?.string
        isEncrypted = content(.encryption) != nil
        isTombstoned = content(.tombstone) != nil
    }

    /// The traits of a room of which only stripped state is known.
    init(stripped: JSONView) {
        let events = stripped.elements
        self.init { type in
            events.last { $0["type"]?.string == type.text && $0["state_key"]?.string == "" }?["content"]
        }
    }
}

/// Reads traits of rooms; kept by state, in which all of it is.
struct RoomTraitsReader: Sendable {
    private let rooms: RoomReader
    private let traits = BoundedCache<StateRoot, RoomTraits>(budget: SyncLimits.traitBytes)
    private let children = BoundedCache<StateRoot, Set<RoomID>>(budget: SyncLimits.traitBytes)

    init(rooms: RoomReader) { self.rooms = rooms }

    /// The traits of a state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func traits(at root: StateRoot, _ connection: any SQLConnection) throws -> RoomTraits {
        if let known = traits.value(root) { return known }
        let found = try current(at: root, connection)
        traits.put(root, found, cost: 160 + (found.name?.utf8.count ?? 0) + (found.avatar?.utf8.count ?? 0))
        return found
    }

    /// The traits of a state as its events have them now: a redaction changes what an event says, but not the state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func current(at root: StateRoot, _ connection: any SQLConnection) throws -> RoomTraits {
        let events = try rooms.state(
            at: root, keys: RoomTraits.types.map { StateKey($0, "") }, in: connection)
        return RoomTraits { events[StateKey($0, "")]?.pdu.content }
    }

    /// The rooms of a space.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func children(at root: StateRoot, _ connection: any SQLConnection) throws -> Set<RoomID> {
        if let known = children.value(root) { return known }
        let keys = try StateReader(connection, rooms.states).all(at: root).filter { $0.key.type == .spaceChild }
        let events = try rooms.events.events(Array(keys.values), from: rooms.log(connection))
        let found = Set(events.values.compactMap { SpaceChild($0.pdu)?.room })
        children.put(root, found, cost: 96 + found.count * 96)
        return found
    }
}
