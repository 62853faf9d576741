public import HomeserverStorage
internal import Logging
internal import MatrixAPI
public import MatrixModel
public import MatrixRooms
internal import SQLDatabase

/// Changes memberships on behalf of our users, in rooms this server is in and, with the help of others, elsewhere.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-membership>
public struct MembershipEditing: Sendable {
    let writer: RoomWriter
    let collaborators: RoomCollaborators

    private var environment: Environment { writer.environment }
    private var reader: RoomReader { writer.reader }

    /// Changes memberships by a writer.
    public init(writer: RoomWriter, collaborators: RoomCollaborators) {
        self.writer = writer
        self.collaborators = collaborators
    }

    // MARK: Content

    /// The content of a membership event: with the profile, for users of ours.
    func content(
        _ membership: Membership, of user: UserID, reason: String? = nil, isDirect: Bool = false
    ) async throws -> JSONValue {
        var content: JSONValue = ["membership": .string(membership.rawValue)]
        if let reason { content["reason"] = .string(reason) }
        if isDirect { content["is_direct"] = true }
        let carriesProfile = membership == .join || membership == .invite || membership == .knock
        guard carriesProfile, environment.isLocal(user) else { return content }
        let profile = try await environment.database.read { try ProfileStore($0).displayed(user) }
        if let name = profile.displayname { content["displayname"] = .string(name) }
        if let url = profile.avatarURL { content["avatar_url"] = .string(url) }
        return content
    }

    /// Sends a membership event in a room of ours.
    @discardableResult
    func set(
        _ content: JSONValue, of target: UserID, by sender: UserID, in room: RoomID, origin: SendOrigin? = nil,
        timestamp: Int64? = nil
    ) async throws -> StoredEvent {
        try await writer.send(
            EventDraft(type: .member, sender: sender, stateKey: target.text, content: content, roomID: room),
            origin: origin, timestamp: timestamp)
    }

    // MARK: Inviting

    /// Invites a user of any server.
    /// - Parameters:
    ///   - origin: device and transaction id, so that a repeated request gets the first event.
    ///   - timestamp: milliseconds since 1970, where an application service sets it.
    /// - Throws: `MatrixError`: `M_FORBIDDEN`, `M_INVITE_BLOCKED`; what the invited user's server answers.
    @discardableResult
    public func invite(
        _ target: UserID, to room: RoomID, by sender: UserID, content extra: JSONValue = [:], reason: String? = nil,
        isDirect: Bool = false, origin: SendOrigin? = nil, timestamp: Int64? = nil
    ) async throws -> EventID {
        if environment.isLocal(target) { try await checkInvitesAllowed(target) }
        try await reader.waitUntilWhole(room, environment.clock)
        var content = try await content(.invite, of: target, reason: reason, isDirect: isDirect)
        for (key, value) in extra.members where content[key] == nil { content[key] = value }
        guard !environment.isLocal(target) else {
            return try await set(content, of: target, by: sender, in: room, origin: origin, timestamp: timestamp).id
        }
        guard environment.configuration.federation.isEnabled, let sending = collaborators.inviteSending else {
            throw MatrixError(.forbidden, "This server does not speak to other servers")
        }
        // The other server is not asked twice.
        if let origin, let first = try await writer.answered(origin) { return first.id }
        let built = try await writer.build(
            EventDraft(type: .member, sender: sender, stateKey: target.text, content: content, roomID: room))
        let signed = try await sending.sendInvite(built.pdu, state: built.describingState)
        guard signed.id == built.pdu.id else {
            throw MatrixError(.unknown, "The other server changed the invite", status: 502)
        }
        var judged = JudgedPDU(
            pdu: signed, verdict: .accepted, stateBefore: built.stateBefore, knowledge: built.knowledge,
            destinations: built.servers)
        judged.origin = origin
        do {
            _ = try await writer.append([judged], to: room)
        } catch is RoomKnowledgeChanged {
            // What was told the other server stands; only the state before it is another.
            guard let record = try await reader.record(room),
                let before = try await reader.stateBefore(signed.prevEvents, in: record, takesAssumed: true)
            else { throw MatrixError(.unknown, "The room is changing too fast", status: 503) }
            judged.stateBefore = before
            judged.knowledge = record.knowledge
            _ = try await writer.append([judged], to: room)
        }
        return signed.id
    }

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#invite-permission>
    func checkInvitesAllowed(_ user: UserID) async throws {
        let sealer = environment.sealer
        guard try await environment.database.read({ try InviteBlocking.isOn(for: user, sealer, $0) }) else { return }
        throw MatrixError(.inviteBlocked, "The user does not take invites")
    }

    // MARK: Joining

    /// Joins a room, here or through another server.
    /// - Parameter servers: whom to ask, beside whoever invited.
    /// - Throws: `MatrixError`.
    public func join(
        _ room: RoomID, as user: UserID, reason: String? = nil, extra: JSONValue = [:], via servers: [ServerName] = [],
        isGuest: Bool = false
    ) async throws -> RoomID {
        try await reader.checkOpen(room)
        var content = try await content(.join, of: user, reason: reason)
        for (key, value) in extra.members where content[key] == nil { content[key] = value }
        guard let record = try await reader.record(room), try await isResident(record) else {
            // Whether guests may join is known only where the room is.
            guard !isGuest else { throw Self.noGuests }
            let joined = try await joinElsewhere(room, as: user, content, via: servers)
            await RoomSuccession(writer: writer).carryOver(to: joined, for: user)
            return joined
        }
        let keys = [
            StateKey(.member, user.text), StateKey(.joinRules, ""), StateKey(.guestAccess, ""), StateKey(.create, ""),
            StateKey(.powerLevels, ""),
        ]
        let state = RoomState(try await reader.state(at: record.state, keys: keys).mapValues(\.pdu))
        let membership = state.membership(of: user)
        if membership == .join { return room }
        if isGuest, GuestAccess(state.event(.guestAccess, "")) != .canJoin { throw Self.noGuests }
        // Where the members are not known, the user may be banned: a server that knows them decides.
        if record.isPartial, state.event(.member, user.text) == nil {
            return try await joinElsewhere(room, as: user, content, via: servers)
        }
        let rules = JoinRules(state.event(.joinRules, ""))
        let isRestricted = rules.rule == .restricted || rules.rule == .knockRestricted
        if isRestricted, membership != .invite, membership != .ban {
            switch try await authorizer(of: user, rules, record, state) {
            case .user(let authorizer): content["join_authorised_via_users_server"] = .string(authorizer.text)
            case .notAllowed: throw MatrixError(.forbidden, "You are in none of the rooms whose members may join")
            case .nobodyHere: return try await joinElsewhere(room, as: user, content, via: servers)
            }
        }
        try await set(content, of: user, by: user, in: room)
        await RoomSuccession(writer: writer).carryOver(to: room, for: user)
        return room
    }

    static let noGuests = MatrixError(.guestAccessForbidden, "Guests may not join this room")

    private func joinElsewhere(
        _ room: RoomID, as user: UserID, _ content: JSONValue, via servers: [ServerName]
    ) async throws -> RoomID {
        guard environment.configuration.federation.isEnabled, let joining = collaborators.remoteJoining else {
            throw MatrixError(.notFound, "The room is not known here")
        }
        let asked = try await candidates(room, user, servers)
        guard !asked.isEmpty else { throw MatrixError(.notFound, "No server is known that is in this room") }
        return try await joining.join(room, as: user, content: content, via: asked)
    }

    /// Servers that may be in a room: those named, the inviter's, and the room id's.
    private func candidates(_ room: RoomID, _ user: UserID, _ named: [ServerName]) async throws -> [ServerName] {
        let sealer = environment.sealer
        let (invite, members) = try await environment.database.read { connection in
            let store = RoomStore(connection)
            let members = try store.room(room).map { try store.joinedServers(room: $0.nid) } ?? []
            return (try store.invite(of: user, to: room, sealer: sealer), members)
        }
        var servers: [ServerName] = []
        for server in named + [invite?.sender.serverName, room.serverName].compactMap(\.self) + members
        where server != environment.serverName && !servers.contains(server) {
            servers.append(server)
        }
        return Array(servers.prefix(RoomLimits.serversPerJoin))
    }

    /// Whether one of our users is joined, so that this server speaks for the room.
    func isResident(_ room: RoomRecord) async throws -> Bool {
        try await reader.joinedServers(room).contains(environment.serverName)
    }

    // MARK: Restricted rooms

    /// Who vouches for a join to a restricted room.
    public enum Authorizer: Sendable, Hashable {
        case user(UserID)
        /// The user is in none of the rooms that allow a join, as far as this server can tell.
        case notAllowed
        /// None of our users may invite.
        case nobodyHere
    }

    /// Finds one of our users in the room who may invite, if the user is in a room whose members may join.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms>
    public func authorizer(
        of user: UserID, _ rules: JoinRules, _ record: RoomRecord, _ state: RoomState
    ) async throws -> Authorizer {
        guard let create = state.event(.create, "") else { return .nobodyHere }
        let server = environment.serverName
        let allowed = rules.allowedRooms
        let (isAllowed, knowsAll, ours) = try await environment.database.read { connection in
            let store = RoomStore(connection)
            var isAllowed = false
            var knowsAll = true
            for id in allowed {
                guard let room = try store.room(id), try store.joinedServers(room: room.nid).contains(server) else {
                    knowsAll = false
                    continue
                }
                let membership = try store.membership(of: user, in: room.nid)?.membership
                if membership == .join { isAllowed = true }
                if membership == nil, room.isPartial { knowsAll = false }
            }
            return (isAllowed, knowsAll, try store.joinedMembers(room: record.nid, of: server))
        }
        guard isAllowed else { return knowsAll ? .notAllowed : .nobodyHere }
        let levels = state.powerLevels(create: create)
        let able = ours.first { candidate in
            guard let level = try? levels.level(of: candidate), let needed = try? levels.required(for: .invite) else {
                return false
            }
            return level >= needed
        }
        return able.map { .user($0) } ?? .nobodyHere
    }

    // MARK: Knocking and leaving

    /// Knocks on a room, here or through another server.
    public func knock(
        _ room: RoomID, as user: UserID, reason: String?, via servers: [ServerName]
    ) async throws -> RoomID {
        try await reader.checkOpen(room)
        let content = try await content(.knock, of: user, reason: reason)
        if let record = try await reader.record(room), try await isResident(record) {
            try await reader.waitUntilWhole(room, environment.clock)
            if try await reader.membership(of: user, in: room)?.membership == .knock { return room }
            try await set(content, of: user, by: user, in: room)
            return room
        }
        guard environment.configuration.federation.isEnabled, let joining = collaborators.remoteJoining else {
            throw MatrixError(.notFound, "The room is not known here")
        }
        return try await joining.knock(
            room, as: user, content: content, via: try await candidates(room, user, servers))
    }

    /// Leaves a room, declines an invite, withdraws a knock. An invite from elsewhere is gone for our user whatever the other
    /// server says.
    public func leave(_ room: RoomID, as user: UserID, reason: String? = nil) async throws {
        let content = try await content(.leave, of: user, reason: reason)
        let sealer = environment.sealer
        let invite = try await environment.database.read {
            try RoomStore($0).invite(of: user, to: room, sealer: sealer)
        }
        if let invite {
            if let joining = collaborators.remoteJoining {
                do {
                    try await joining.leave(room, as: user, content: content, invite: invite)
                } catch {
                    environment.logger.info(
                        "an invite was declined here only", metadata: ["room": "\(room)", "cause": "\(error)"])
                }
            }
            try await environment.database.groupedWrite { connection in
                _ = try RoomStore(connection).removeInvite(of: user, to: room)
            }
            return
        }
        switch try await reader.membership(of: user, in: room)?.membership {
        case .join, .invite, .knock: try await set(content, of: user, by: user, in: room)
        case .leave: return
        case .ban: throw MatrixError(.forbidden, "You are banned from this room")
        case nil: throw MatrixError(.forbidden, "You are not in this room")
        }
    }
}
