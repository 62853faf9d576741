internal import ClientEncryption
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

extension Client {
    /// The room that a person means: an id, an alias, a user (the direct room with them, which is made if `creating`), or
    /// a part of a name that only one room has. Throws ``ClientError``: `notFound`, `ambiguous`.
    public func room(named text: String, creating: Bool = false) async throws -> RoomID {
        guard text.utf8.count <= ClientLimits.argumentBytes else {
            throw ClientError.usage("the room's name is too long")
        }
        switch text.first {
        case "!":
            guard let room = try? RoomID(text) else { throw ClientError.notFound(text) }
            return room
        case "#":
            guard let alias = try? RoomAlias(text) else { throw ClientError.notFound(text) }
            let answer = try await call(APICall(.getRoomIdByAlias, ["roomAlias": alias.text]))
            return try answer.requiredIdentifier("room_id")
        case "@":
            guard let user = try? UserID(text) else { throw ClientError.notFound(text) }
            return try await directRoom(with: user, creating: creating)
        default:
            return try await room(withNameLike: text)
        }
    }

    /// The room we are invited to that has this in its name. Throws ``ClientError``: `notFound`, `ambiguous`.
    public func invitation(named text: String) async throws -> RoomID {
        try await room(withNameLike: text, membership: "invite")
    }

    private func room(withNameLike text: String, membership: String = "join") async throws -> RoomID {
        try await caughtUp()
        let (store, wanted) = (store, text.lowercased())
        guard !wanted.isEmpty else { throw ClientError.usage("no room given") }
        let rooms = try await database.read { try store.rooms(in: $0) }.filter { $0.membership == membership }
        let named = rooms.filter { $0.name?.lowercased().contains(wanted) ?? false }
        let exact = named.filter { $0.name?.lowercased() == wanted }
        let fitting = exact.isEmpty ? named : exact
        guard let first = fitting.first else { throw ClientError.notFound("a room named like \(text)") }
        guard fitting.count == 1 else {
            let list = fitting.prefix(5).map { "\($0.name ?? "") (\($0.room))" }.joined(separator: ", ")
            throw ClientError.ambiguous("\(fitting.count) rooms are named like \(text): \(list)")
        }
        return first.room
    }

    /// Whoever names a person means an encrypted room with that person in it. One in the clear must be named itself.
    private func directRoom(with user: UserID, creating: Bool) async throws -> RoomID {
        try await caughtUp()
        let store = store
        let known = try await database.read { connection -> RoomID? in
            try store.directRooms(with: user, in: connection).first { summary in
                let membership = try store.membership(of: user.text, in: summary.room, connection)
                return summary.isEncrypted && ["join", "invite"].contains(membership)
            }?.room
        }
        if let known { return known }
        guard creating else { throw ClientError.notFound("a direct room with \(user)") }
        var creation = RoomCreation()
        creation.isDirect = true
        creation.invite = [user]
        let room = try await create(creation)
        let direct = try await database.write { connection in
            var direct = try store.value("m.direct", in: connection) ?? [:]
            let rooms = direct[user.text]?.elements ?? []
            direct[user.text] = .array(rooms + [.string(room.text)])
            try store.setValue(direct, "m.direct", in: connection)
            return direct
        }
        _ = try await call(
            APICall(.setAccountData, ["userId": self.user.text, "type": "m.direct"], body: direct))
        return room
    }
}
