public import MatrixModel

/// The places in a room's state of the events that must allow an event: what its `auth_events` are taken from.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection>
public func authEventKeys(
    type: EventType, sender: UserID, stateKey: String?, content: some JSONReading, rules: RoomVersionRules
) -> [StateKey] {
    // "The auth_events for the m.room.create event in a room is empty."
    if type == .create { return [] }
    var keys: [StateKey] = []
    func add(_ type: EventType, _ stateKey: String) {
        let key = StateKey(type, stateKey)
        if !keys.contains(key) { keys.append(key) }
    }
    if rules.authorization.createIsAuthEvent { add(.create, "") }
    add(.powerLevels, "")
    add(.member, sender.text)
    guard type == .member, let stateKey else { return keys }
    add(.member, stateKey)
    let membership = content["membership"]?.string.flatMap { Membership(rawValue: $0) }
    switch membership {
    case .join, .invite, .knock: add(.joinRules, "")
    case .leave, .ban, nil: break
    }
    if membership == .invite, let token = content["third_party_invite"]?["signed"]?["token"]?.string {
        add(.thirdPartyInvite, token)
    }
    if membership == .join, rules.authorization.restrictedJoins,
        let user = content["join_authorised_via_users_server"]?.string
    {
        add(.member, user)
    }
    return keys
}

/// The same for a finished event, by the rules of its room version.
public func authEventKeys(for event: PDU) -> [StateKey] {
    authEventKeys(
        type: event.type, sender: event.sender, stateKey: event.stateKey, content: event.content,
        rules: event.version.rules)
}

/// The same for an event that is being written.
public func authEventKeys(for draft: EventDraft, rules: RoomVersionRules) -> [StateKey] {
    authEventKeys(
        type: draft.type, sender: draft.sender, stateKey: draft.stateKey, content: draft.content, rules: rules)
}

/// Rule 3: whether an event names fit auth events. Whether these allow it, `authorize` says.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules>
/// - Parameters:
///   - authEvents: the events with the ids in `event.authEvents`, in any order.
///   - isRejected: whether an auth event was itself rejected on receipt.
/// - Throws: a `Rejection` by rule 3; also where an auth event is not among those given.
public func checkAuthEvents(
    _ event: PDU, authEvents: [PDU], by rules: RoomVersionRules, isRejected: (EventID) -> Bool
) throws(Rejection) {
    let given = Dictionary(authEvents.map { ($0.id, $0) }) { first, _ in first }
    let selected = Set(authEventKeys(for: event))
    var seen: Set<StateKey> = []
    var hasCreate = false
    for id in event.authEvents {
        guard let authEvent = given[id] else { throw Rejection("3", "an auth event is not known") }
        // What is no state is not what the selection algorithm selects.
        guard let key = StateKey(of: authEvent) else { throw Rejection("3.2", "an auth event is no state") }
        // 3.1. If there are duplicate entries for a given type and state_key pair, reject.
        guard seen.insert(key).inserted else {
            throw Rejection("3.1", "two auth events have the same type and state key")
        }
        // 3.2. If there are entries whose type and state_key don't match those specified by the auth events selection
        // algorithm, reject. (From version 12, m.room.create is one of those.)
        guard selected.contains(key) else { throw Rejection("3.2", "an auth event is not one that the event needs") }
        // 3.3. If there are entries which were themselves rejected, reject.
        guard !isRejected(id) else { throw Rejection("3.3", "an auth event was rejected") }
        // 3.5. If any event in auth_events has a room_id which does not match that of the event, reject.
        guard authEvent.roomID == event.roomID else { throw Rejection("3.5", "an auth event is of another room") }
        hasCreate = hasCreate || key.type == .create
    }
    // Versions 1 to 11, 2.4. If there is no m.room.create event among the entries, reject.
    if rules.authorization.createIsAuthEvent, event.type != .create, !hasCreate {
        throw Rejection("v1 2.4", "the create event is not among the auth events")
    }
}
