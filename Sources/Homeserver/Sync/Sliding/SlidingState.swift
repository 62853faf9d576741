internal import HomeserverStorage
internal import MatrixModel

/// What a client was sent over a connection, up to an answer. The same answer's is always the same.
struct SlidingState: Sendable {
    private(set) var rooms: [RoomID: SentRoom] = [:]
    /// What was wanted of states, by number; a number is never given to another.
    private(set) var configs: [Int: RequiredState] = [:]
    /// The rooms that changed since it was read.
    private var changed: Set<RoomID> = []
    private var isChangedBeside = false

    /// The room of the store that is about all rooms.
    private static let beside = ""

    init() {}

    /// What the store has; nil when it cannot be read.
    init?(_ stored: [String: [UInt8]]) {
        for (name, body) in stored {
            if name == Self.beside {
                guard let document = try? JSONDocument(body) else { return nil }
                for (number, config) in document.root.members {
                    guard let number = Int(number) else { return nil }
                    configs[number] = RequiredState(config)
                }
            } else {
                guard let id = try? RoomID(name), let room = SentRoom(body) else { return nil }
                rooms[id] = room
            }
        }
    }

    /// What was sent of a room; setting it notes the change.
    subscript(_ room: RoomID) -> SentRoom? {
        get { rooms[room] }
        set {
            guard rooms[room] != newValue else { return }
            rooms[room] = newValue
            changed.insert(room)
        }
    }

    /// The number of what is wanted of a state, given out where it has none.
    mutating func number(of config: RequiredState) -> Int {
        if let known = configs.first(where: { $0.value == config }) { return known.key }
        if configs.count >= SyncLimits.stateConfigsRemembered {
            let used = Set(rooms.values.map(\.stateConfig))
            configs = configs.filter { used.contains($0.key) }
        }
        let next = (configs.keys.max() ?? 0) + 1
        configs[next] = config
        isChangedBeside = true
        return next
    }

    /// What was wanted of a room's state when it was sent.
    func required(_ room: SentRoom) -> RequiredState { configs[room.stateConfig] ?? RequiredState() }

    var isChanged: Bool { isChangedBeside || !changed.isEmpty }

    /// What changed since it was read.
    var changes: SlidingConnectionStore.Changes {
        var changes: SlidingConnectionStore.Changes = [:]
        for room in changed { changes.updateValue(rooms[room]?.bytes, forKey: room.text) }
        if isChangedBeside {
            var configs: [String: JSONValue] = [:]
            for (number, config) in self.configs { configs[String(number)] = config.json }
            changes.updateValue(JSONValue.object(configs).serialized(), forKey: Self.beside)
        }
        return changes
    }

    /// The same, with its changes kept.
    var kept: SlidingState {
        var state = self
        state.changed = []
        state.isChangedBeside = false
        return state
    }

    /// About how many bytes it takes in memory.
    var cost: Int { rooms.values.reduce(512) { $0 + $1.cost } + configs.count * 4_096 }
}
