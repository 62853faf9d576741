public import MatrixModel
public import MatrixRooms

/// A room in memory, whose events are hashed and signed as real ones. Its state is its events', unchecked: a test may
/// build what no server would accept.
///
///     var room = TestRoom(.v12)
///     room.join(.bob)
///     let topic = room.event(.topic, by: .bob, stateKey: "", ["topic": "tea"])   // made, not in the room yet
///     room.add(topic)
public struct TestRoom: RoomStateView, EventGraph {
    /// The version of the room's rules.
    public let version: RoomVersion
    /// The room's first event.
    public let create: PDU
    /// The state after the last event.
    public private(set) var state = RoomState()
    /// All events by id.
    public private(set) var events: [EventID: PDU] = [:]
    /// The ids of all events, in the order of adding.
    public private(set) var order: [EventID] = []
    /// What the next event comes after.
    public var extremities: [EventID] = []
    /// The next event's `origin_server_ts`; each event is a second later than the one before.
    public var timestamp: Int64 = 1_700_000_000_000

    /// The room.
    public var id: RoomID { create.roomID }
    /// The rules of the version.
    public var rules: RoomVersionRules { version.rules }

    /// A room with its create event, its creator, and for a `joinRule` that with power levels of the usual kind.
    /// - Parameter powerLevels: the content; `nil` gives none. The creator has 100 where creators have no more.
    public init(
        _ version: RoomVersion, creator: UserID = .alice, joinRule: String? = "public",
        createContent: JSONValue = [:], powerLevels: JSONValue? = [:]
    ) {
        self.version = version
        var content = createContent
        if content["room_version"] == nil { content["room_version"] = .string(version.text) }
        if !version.rules.authorization.creatorIsSender { content["creator"] = .string(creator.text) }
        let name = try? RoomID("!room:\(creator.serverName)")
        let draft = EventDraft(
            type: .create, sender: creator, stateKey: "", content: content,
            roomID: version.rules.roomIDIsCreateEventHash ? nil : name)
        create = Self.sealed(draft, version: version, prev: [], auth: [], depth: 1, timestamp: timestamp)
        add(create)
        add(event(.member, by: creator, stateKey: creator.text, ["membership": "join"]))
        if var levels = powerLevels {
            if levels["users"] == nil, !version.rules.authorization.privilegedCreators {
                levels["users"] = [creator.text: 100]
            }
            add(event(.powerLevels, by: creator, stateKey: "", levels))
        }
        if let joinRule { add(event(.joinRules, by: creator, stateKey: "", ["join_rule": .string(joinRule)])) }
    }

    public func event(_ type: EventType, _ stateKey: String) -> PDU? { state.event(type, stateKey) }

    public func event(_ id: EventID) -> PDU? { events[id] }

    /// A signed event on top of the room, with the auth events that the room's state has for it; it is not added.
    /// - Parameters:
    ///   - prev: other events to come after than the room's extremities.
    ///   - auth: other auth events than those selected.
    public func event(
        _ type: EventType, by sender: UserID, stateKey: String? = nil, _ content: JSONValue = [:],
        redacts: EventID? = nil, prev: [EventID]? = nil, auth: [EventID]? = nil
    ) -> PDU {
        let draft = EventDraft(
            type: type, sender: sender, stateKey: stateKey, content: content, roomID: id, redacts: redacts)
        let selected = authEventKeys(for: draft, rules: rules).compactMap { state.events[$0]?.id }
        let prev = prev ?? extremities
        let depth = prev.compactMap { events[$0]?.depth }.max() ?? 0
        return Self.sealed(
            draft, version: version, prev: prev, auth: auth ?? selected, depth: depth + 1, timestamp: timestamp,
            referenceHashes: rules.eventIDIsSent ? referenceHashes : [:])
    }

    /// What versions 1 and 2 need beside ids.
    private var referenceHashes: [EventID: [UInt8]] { events.mapValues(\.referenceHash) }

    /// Makes the event part of the room, its newest, and of its state.
    public mutating func add(_ event: PDU) {
        events[event.id] = event
        order.append(event.id)
        state.insert(event)
        extremities = [event.id]
        timestamp += 1_000
    }

    /// Makes an event and adds it.
    @discardableResult public mutating func send(
        _ type: EventType, by sender: UserID, stateKey: String? = nil, _ content: JSONValue = [:]
    ) -> PDU {
        let event = event(type, by: sender, stateKey: stateKey, content)
        add(event)
        return event
    }

    /// Sets a membership, of the sender or, `by` another, of a target.
    @discardableResult public mutating func set(
        _ membership: Membership, of user: UserID, by sender: UserID? = nil
    ) -> PDU {
        send(.member, by: sender ?? user, stateKey: user.text, ["membership": .string(membership.rawValue)])
    }

    /// The user joins.
    @discardableResult public mutating func join(_ user: UserID) -> PDU { set(.join, of: user) }
    /// The user leaves.
    @discardableResult public mutating func leave(_ user: UserID) -> PDU { set(.leave, of: user) }
    /// The user knocks.
    @discardableResult public mutating func knock(_ user: UserID) -> PDU { set(.knock, of: user) }

    /// Another user, Alice if not said, invites the user.
    @discardableResult public mutating func invite(_ user: UserID, by sender: UserID = .alice) -> PDU {
        set(.invite, of: user, by: sender)
    }

    /// Another user, Alice if not said, bans the user.
    @discardableResult public mutating func ban(_ user: UserID, by sender: UserID = .alice) -> PDU {
        set(.ban, of: user, by: sender)
    }

    /// Sets the power levels.
    @discardableResult public mutating func setPowerLevels(_ content: JSONValue, by sender: UserID = .alice) -> PDU {
        send(.powerLevels, by: sender, stateKey: "", content)
    }

    private static func sealed(
        _ draft: EventDraft, version: RoomVersion, prev: [EventID], auth: [EventID], depth: Int64, timestamp: Int64,
        referenceHashes: [EventID: [UInt8]] = [:]
    ) -> PDU {
        let server = TestServer(of: draft.sender)
        do throws(MalformedEvent) {
            return try draft.seal(
                version: version, prev: prev, auth: auth, depth: depth, timestamp: timestamp, server: server.name,
                keyID: server.keyID, key: server.key, referenceHashes: referenceHashes)
        } catch {
            fatalError("the test's event is malformed: \(error)")
        }
    }
}
