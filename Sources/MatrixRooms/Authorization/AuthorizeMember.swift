import MatrixModel

/// Rule 5: who comes, goes, is invited and is thrown out.
extension EventAuthorization {
    func authorizeMember() throws(Rejection) {
        // 5.1. If there is no state_key property, or no membership property in content, reject.
        guard let stateKey = event.stateKey else { throw Rejection("5.1", "membership is state") }
        guard let membership = event.content["membership"]?.string else {
            throw Rejection("5.1", "the event says no membership")
        }
        // A state key that is no user id has no membership and no level to compare.
        guard let target = try? UserID(stateKey) else { throw Rejection("5.1", "the state key names no user") }

        // 5.2. If content has a join_authorised_via_users_server key: if the event is not validly signed by the homeserver
        // of that user, reject. Every signature that is required was verified before; here one must be.
        if rules.authorization.restrictedJoins, let key = event.content["join_authorised_via_users_server"] {
            guard let text = key.string, let user = try? UserID(text),
                event.signatures?[user.serverName.text]?.members.isEmpty == false
            else { throw Rejection("5.2", "the authorizing user's server has not signed") }
        }

        switch Membership(rawValue: membership) {
        case .join: try authorizeJoin(target)
        case .invite: try authorizeInvite(target)
        case .leave: try authorizeLeave(target)
        case .ban: try authorizeBan(target)
        case .knock where rules.authorization.knocking: try authorizeKnock(target)
        // 5.8. Otherwise, the membership is unknown. Reject.
        case .knock, nil: throw Rejection("5.8", "the membership is not known")
        }
    }

    /// 5.3. If membership is join.
    private func authorizeJoin(_ target: UserID) throws(Rejection) {
        // 5.3.1. If the only previous event is an m.room.create and the state_key is the creator, allow.
        if event.prevEvents == [create.id], let creator = creator, target == creator { return }
        // 5.3.2. If the sender does not match state_key, reject.
        guard event.sender == target else { throw Rejection("5.3.2", "nobody joins another") }
        // 5.3.3. If the sender is banned, reject.
        let current = try membership(of: target, "5.3.3")
        guard current != .ban else { throw Rejection("5.3.3", "sender is banned") }

        let isMember = current == .invite || current == .join
        switch try joinRule("5.3.4") {
        // 5.3.4. If the join_rule is invite or knock then allow if membership state is invite or join.
        case .invite where isMember: return
        case .knock where isMember && rules.authorization.knocking: return
        // 5.3.5. If the join_rule is restricted or knock_restricted:
        case .restricted where rules.authorization.restrictedJoins,
            .knockRestricted where rules.authorization.knockRestrictedJoins:
            // 5.3.5.1. If membership state is join or invite, allow.
            if isMember { return }
            // 5.3.5.2. If the join_authorised_via_users_server key is not a user with sufficient permission to invite
            // other users or is not a joined member of the room, reject.
            guard let authorizer = RoomMember(event).joinAuthorizedBy,
                try membership(of: authorizer, "5.3.5.2") == .join,
                try level(of: authorizer, "5.3.5.2") >= level(for: .invite, "5.3.5.2")
            else { throw Rejection("5.3.5.2", "nobody who may invite has let the sender in") }
        // 5.3.5.3. Otherwise, allow.
        // 5.3.6. If the join_rule is public, allow.
        case .public: return
        // 5.3.7. Otherwise, reject.
        default: throw Rejection("5.3.7", "the join rule does not let the sender in")
        }
    }

    /// The creator's sole join needs no rule. From version 11 that is the create event's sender.
    private var creator: UserID? { RoomCreate(create).creator }

    private func joinRule(_ clause: String) throws(Rejection) -> JoinRules.Rule? {
        let rules = JoinRules(state.event(.joinRules, ""))
        let text = try reading(clause) { () throws(MalformedField) in try rules.text }
        return JoinRules.Rule(rawValue: text)
    }

    /// 5.4. If membership is invite.
    private func authorizeInvite(_ target: UserID) throws(Rejection) {
        // 5.4.1. If content has a third_party_invite property.
        if let invite = event.content["third_party_invite"] { return try authorizeThirdPartyInvite(invite, target) }
        // 5.4.2. If the sender's current membership state is not join, reject.
        guard try membership(of: event.sender, "5.4.2") == .join else {
            throw Rejection("5.4.2", "sender is not joined")
        }
        // 5.4.3. If target user's current membership state is join or ban, reject.
        let current = try membership(of: target, "5.4.3")
        guard current != .join, current != .ban else {
            throw Rejection("5.4.3", current == .join ? "the user is in the room already" : "the user is banned")
        }
        // 5.4.4. If the sender's power level is greater than or equal to the invite level, allow.
        if try senderLevel("5.4.4") >= level(for: .invite, "5.4.4") { return }
        // 5.4.5. Otherwise, reject.
        throw Rejection("5.4.5", "sender may not invite")
    }

    /// 5.5. If membership is leave.
    private func authorizeLeave(_ target: UserID) throws(Rejection) {
        let current = try membership(of: target, "5.5.1")
        // 5.5.1. If the sender matches state_key, allow if and only if that user's current membership state is invite, join,
        // or knock.
        if event.sender == target {
            switch current {
            case .invite, .join: return
            case .knock where rules.authorization.knocking: return
            case .knock, .leave, .ban: throw Rejection("5.5.1", "sender has nothing to leave")
            }
        }
        // 5.5.2. If the sender's current membership state is not join, reject.
        guard try membership(of: event.sender, "5.5.2") == .join else {
            throw Rejection("5.5.2", "sender is not joined")
        }
        let sender = try senderLevel("5.5.3")
        // 5.5.3. If the target user's current membership state is ban, and the sender's power level is less than the ban
        // level, reject.
        if current == .ban, try sender < level(for: .ban, "5.5.3") {
            throw Rejection("5.5.3", "sender may not lift a ban")
        }
        // 5.5.4. If the sender's power level is greater than or equal to the kick level, and the target user's power level
        // is less than the sender's power level, allow.
        if try sender >= level(for: .kick, "5.5.4"), try level(of: target, "5.5.4") < sender { return }
        // 5.5.5. Otherwise, reject.
        throw Rejection("5.5.5", "sender may not kick this user")
    }

    /// 5.6. If membership is ban.
    private func authorizeBan(_ target: UserID) throws(Rejection) {
        // 5.6.1. If the sender's current membership state is not join, reject.
        guard try membership(of: event.sender, "5.6.1") == .join else {
            throw Rejection("5.6.1", "sender is not joined")
        }
        // 5.6.2. If the sender's power level is greater than or equal to the ban level, and the target user's power level
        // is less than the sender's power level, allow.
        let sender = try senderLevel("5.6.2")
        if try sender >= level(for: .ban, "5.6.2"), try level(of: target, "5.6.2") < sender { return }
        // 5.6.3. Otherwise, reject.
        throw Rejection("5.6.3", "sender may not ban this user")
    }

    /// 5.7. If membership is knock.
    private func authorizeKnock(_ target: UserID) throws(Rejection) {
        // 5.7.1. If the join_rule is anything other than knock or knock_restricted, reject.
        switch try joinRule("5.7.1") {
        case .knock: break
        case .knockRestricted where rules.authorization.knockRestrictedJoins: break
        default: throw Rejection("5.7.1", "the room takes no knocks")
        }
        // 5.7.2. If sender does not match state_key, reject.
        guard event.sender == target else { throw Rejection("5.7.2", "nobody knocks for another") }
        // 5.7.3. If the sender's current membership is not ban, invite, or join, allow.
        switch try membership(of: target, "5.7.3") {
        case .leave, .knock: return
        // 5.7.4. Otherwise, reject.
        case .ban, .invite, .join: throw Rejection("5.7.4", "sender is banned, invited or in the room")
        }
    }
}
