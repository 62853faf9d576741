public import MatrixModel

/// A room's state at some point, as far as a rule asks for it.
public protocol RoomStateView: Sendable {
    /// The state event of this type and state key; `nil` if the state has none.
    func event(_ type: EventType, _ stateKey: String) -> PDU?
}

/// A room's state in memory.
public struct RoomState: RoomStateView {
    public var events: [StateKey: PDU]

    public init(_ events: [StateKey: PDU] = [:]) { self.events = events }

    /// The state that some events make, of which a later one takes the place of an earlier one. Events that are no state
    /// are passed over.
    public init(_ events: some Sequence<PDU>) {
        self.events = [:]
        for event in events { insert(event) }
    }

    /// Puts a state event in its place.
    public mutating func insert(_ event: PDU) {
        if let key = StateKey(of: event) { events[key] = event }
    }

    public func event(_ type: EventType, _ stateKey: String) -> PDU? { events[StateKey(type, stateKey)] }

    /// The ids.
    public var map: StateMap { events.mapValues(\.id) }
}

extension RoomStateView {
    /// What a user may do in this state.
    public func powerLevels(create: PDU) -> PowerLevels { PowerLevels(event(.powerLevels, ""), create: create) }

    /// A user's membership; `leave` for one who never had any, `nil` for one that nobody knows.
    public func membership(of user: UserID) -> Membership? {
        guard let event = event(.member, user.text) else { return .leave }
        return try? RoomMember(event).membership
    }
}
