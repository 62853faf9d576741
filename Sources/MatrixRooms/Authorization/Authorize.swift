public import MatrixModel

/// Decides whether `event` is allowed given `state`. The same arguments give the same answer forever.
///
/// Signatures are not checked here: `EventSignatures.requiredServers` says which an event needs to come this far.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules>, whose numbers are used here. What other room
/// versions have otherwise is in `AuthorizationRules`.
/// - Parameters:
///   - state: the events that `authEventKeys` names, at least. Its create event is not looked at.
///   - create: the room's create event, which was accepted; for a create event, itself.
/// - Throws: the `Rejection` with the first rule that does not allow the event.
public func authorize(
    _ event: PDU, given state: some RoomStateView, by rules: RoomVersionRules, create: PDU
) throws(Rejection) {
    try EventAuthorization(event: event, state: state, rules: rules, create: create).decide()
}

/// One event before the rules. The rules of each event type are in files of their own.
struct EventAuthorization<State: RoomStateView> {
    let event: PDU
    let state: State
    let rules: RoomVersionRules
    let create: PDU
    let levels: PowerLevels

    init(event: PDU, state: State, rules: RoomVersionRules, create: PDU) {
        self.event = event
        self.state = state
        self.rules = rules
        self.create = create
        levels = state.powerLevels(create: create)
    }

    func decide() throws(Rejection) {
        // 1. If type is m.room.create.
        if event.type == .create { return try authorizeCreate() }

        // 2. The room is that of an accepted create event: in version 12 by its id, before by its room_id.
        guard create.type == .create, create.stateKey == "", create.roomID == event.roomID else {
            throw Rejection("2", "the event is not of the create event's room")
        }

        // 3. Considering the event's auth_events: `checkAuthEvents`.

        // 4. If m.federate in the create event is false, and the sender's domain is not that of its sender, reject.
        if !RoomCreate(create).isFederated, event.sender.serverName != create.sender.serverName {
            throw Rejection("4", "the room is not federated")
        }

        // Versions 1 to 5, 4. If type is m.room.aliases.
        if rules.authorization.aliasesBelongToServer, event.type == .aliases { return try authorizeAliases() }

        // 5. If type is m.room.member.
        if event.type == .member { return try authorizeMember() }

        // 6. If the sender's current membership state is not join, reject.
        guard try membership(of: event.sender, "6") == .join else { throw Rejection("6", "sender is not joined") }

        // 7. If type is m.room.third_party_invite: allow if and only if the sender's level is at least the invite level.
        if event.type == .thirdPartyInvite {
            guard try senderLevel("7.1") >= level(for: .invite, "7.1") else {
                throw Rejection("7.1", "sender may not invite")
            }
            return
        }

        // 8. If the event type's required power level is greater than the sender's power level, reject.
        let required = try reading("8") { () throws(MalformedField) in
            try levels.required(for: event.type, isState: event.isState)
        }
        guard try senderLevel("8") >= required else { throw Rejection("8", "sender may not send \(event.type)") }

        // 9. If the event has a state_key that starts with an @ and does not match the sender, reject.
        if let stateKey = event.stateKey, stateKey.utf8.first == UInt8(ascii: "@"),
            !stateKey.isSameText(as: event.sender.text)
        {
            throw Rejection("9", "the state key names another user")
        }

        // 10. If type is m.room.power_levels. (Only the room's power levels count, not those with other state keys; the
        // rules make no difference.)
        if event.type == .powerLevels { return try authorizePowerLevels() }

        // Versions 1 and 2, 11. If type is m.room.redaction.
        if rules.authorization.redactionsNeedPower, event.type == .redaction { return try authorizeRedaction() }

        // 11. Otherwise, allow.
    }

    /// The sender's power level, where the rule `clause` asks for it.
    func senderLevel(_ clause: String) throws(Rejection) -> PowerLevel {
        try level(of: event.sender, clause)
    }

    func level(of user: UserID, _ clause: String) throws(Rejection) -> PowerLevel {
        try reading(clause) { () throws(MalformedField) in try levels.level(of: user) }
    }

    func level(for action: PowerLevels.Action, _ clause: String) throws(Rejection) -> PowerLevel {
        try reading(clause) { () throws(MalformedField) in try levels.required(for: action) }
    }

    /// A user's current membership state; `leave` for one who has none.
    func membership(of user: UserID, _ clause: String) throws(Rejection) -> Membership {
        guard let member = state.event(.member, user.text) else { return .leave }
        return try reading(clause) { () throws(MalformedField) in try RoomMember(member).membership }
    }
}
