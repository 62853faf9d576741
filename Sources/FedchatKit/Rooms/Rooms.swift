internal import ClientEncryption
internal import Logging
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// How a room is made.
public struct RoomCreation: Sendable {
    /// `m.room.name`
    public var name: String?
    /// `m.room.topic`
    public var topic: String?
    /// The localpart of an alias on our server.
    public var aliasLocalpart: String?
    /// Who is invited at once.
    public var invite: [UserID] = []
    /// Whether anybody may join.
    public var isPublic = false
    /// Whether it is a conversation with those invited.
    public var isDirect = false
    /// Whether messages are encrypted end to end.
    public var isEncrypted = true
    /// Another room version than the server's default.
    public var version: String?

    /// An encrypted room for those invited.
    public init() {}
}

/// A user in a room.
public struct RoomMembership: Sendable, Hashable {
    public let user: UserID
    /// `join`, `invite` and so on.
    public let membership: String
}

extension Client {
    /// Makes a room, and waits until it is there. Throws ``ClientError``: `notEncrypted` if it was to be encrypted and the
    /// server does not say that it is.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom>
    public func create(_ creation: RoomCreation) async throws -> RoomID {
        var initialState: [JSONValue] = []
        if creation.isEncrypted {
            initialState.append([
                "type": "m.room.encryption", "state_key": "", "content": ["algorithm": "m.megolm.v1.aes-sha2"],
            ])
        }
        let body: JSONValue = .fields([
            "preset": creation.isPublic ? "public_chat" : creation.isDirect ? "trusted_private_chat" : "private_chat",
            "name": creation.name.map { .string($0) },
            "topic": creation.topic.map { .string($0) },
            "room_alias_name": creation.aliasLocalpart.map { .string($0) },
            "invite": creation.invite.isEmpty ? nil : .array(creation.invite.map { .string($0.text) }),
            "is_direct": creation.isDirect ? true : nil,
            "room_version": creation.version.map { .string($0) },
            "initial_state": .array(initialState),
        ])
        try await caughtUp()
        // Not repeated: a lost answer would leave a second room.
        let answer = try await call(APICall(.createRoom, body: body), attempts: 1)
        let room: RoomID = try answer.requiredIdentifier("room_id")
        try await arrival(of: room)
        if creation.isEncrypted { try await encryption(of: room) }
        return room
    }

    /// Joins a room by id or alias, through the servers named if need be, and waits until it is there.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias>
    public func join(_ room: String, via servers: [String] = []) async throws -> RoomID {
        try await caughtUp()
        let call = APICall(.joinRoom, ["roomIdOrAlias": room], query: servers.map { ("via", $0) })
        let answer = try await self.call(call)
        let joined: RoomID = try answer.requiredIdentifier("room_id")
        try await arrival(of: joined)
        return joined
    }

    private func arrival(of room: RoomID) async throws {
        let store = store
        try await wait(ClientLimits.roomArrival, "the room to come in a sync") { client in
            try await client.database.read { try store.room(room, in: $0) }?.membership == "join"
        }
    }

    /// The room may come in a sync before its encryption does, and a server may leave that out.
    private func encryption(of room: RoomID) async throws {
        let store = store
        do {
            try await wait(ClientLimits.roomArrival, "the room's encryption to come in a sync") { client in
                try await client.database.read { try store.room(room, in: $0) }?.isEncrypted ?? false
            }
        } catch ClientError.timedOut { throw ClientError.notEncrypted(room) }
    }

    /// Invites a user, who is given the keys of what was said before where the history is for those who come later, unless
    /// `sharingHistory` is false.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite>
    public func invite(_ user: UserID, to room: RoomID, sharingHistory: Bool = true) async throws {
        try await caughtUp()
        if sharingHistory {
            do { try await shareHistory(of: room, with: user) } catch let error as ClientError {
                // An invitation without the past is better than none.
                logger.warning("the keys of the past were not shared: \(error)")
            }
        }
        _ = try await call(
            APICall(.inviteUser, ["roomId": room.text], body: ["user_id": .string(user.text)]))
    }

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidleave>
    public func leave(_ room: RoomID) async throws {
        _ = try await call(APICall(.leaveRoom, ["roomId": room.text]))
    }

    /// Leaves a room, if we are in it or invited, and forgets it with all its keys: what was said in it cannot be read here
    /// any more, unless a backup has them. Throws ``ClientError``.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget>
    public func forget(_ room: RoomID) async throws {
        try await caughtUp()
        let (store, machine) = (store, machine)
        let isThere: @Sendable (isolated Client) async throws -> Bool = { client in
            let membership = try await client.database.read { try store.room(room, in: $0) }?.membership
            return membership == "join" || membership == "invite"
        }
        if try await isThere(self) {
            try await leave(room)
            // Until its end has come, a sync could bring the room back.
            try await wait(ClientLimits.roomArrival, "the room to be left") { try await !isThere($0) }
        }
        _ = try await call(APICall(.forgetRoom, ["roomId": room.text]))
        try await database.write { connection in
            try store.forget(room, in: connection)
            try machine.forgetRoom(room, in: connection)
        }
    }

    /// The rooms we are in or invited to.
    public func rooms() async throws -> [RoomSummary] {
        try await caughtUp()
        let store = store
        return try await database.read { try store.rooms(in: $0) }.filter {
            ["join", "invite"].contains($0.membership)
        }
    }

    /// Whether messages of the room are to be encrypted, as far as this device knows.
    public func isEncrypted(_ room: RoomID) async throws -> Bool {
        let store = store
        return try await database.read { try store.room(room, in: $0) }?.isEncrypted ?? false
    }

    /// Who is in a room or invited to it, as the server knows it now.
    public func members(of room: RoomID) async throws -> [RoomMembership] {
        let answer = try await call(APICall(.getMembersByRoom, ["roomId": room.text]))
        return try answer.requiredArray("chunk").compactMap { event in
            guard let user = event["state_key"]?.string.flatMap({ try? UserID($0) }),
                let membership = event["content", "membership"]?.string, ["join", "invite"].contains(membership)
            else { return nil }
            return RoomMembership(user: user, membership: membership)
        }.sorted { $0.user < $1.user }
    }
}
