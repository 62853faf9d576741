internal import ClientEncryption
internal import MatrixModel
internal import SQLDatabase

/// Takes a `/sync` response into the store, in one transaction with the position after it: after a crash the same
/// response comes again.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>
struct SyncApplying: Sendable {
    let store: ClientStore
    let machine: EncryptionMachine
    /// Whether the sync begins anew.
    let isFirst: Bool

    /// Whether the response, which came after the position `since`, holds nothing, not even another position.
    func isIdle(_ response: JSONView, since: String?, in connection: any SQLConnection) throws -> Bool {
        let sections = ["join", "invite", "leave", "knock"].map { response["rooms", $0]?.members.count ?? 0 }
        guard since != nil, response["next_batch"]?.string == since, sections.allSatisfy({ $0 == 0 }),
            response["account_data", "events"]?.elements.isEmpty ?? true
        else { return false }
        return try machine.knows(SyncChanges(response: response), in: connection)
    }

    func apply(_ response: JSONView, in connection: any SQLConnection) throws -> ClientUpdate {
        var update = ClientUpdate()
        guard let token = response["next_batch"]?.string else {
            throw ClientError.malformedAnswer(path: "next_batch")
        }
        update.outcome = try machine.receive(SyncChanges(response: response), in: connection)
        update.roomKeys = update.outcome.roomKeys
        for (name, view) in response["rooms", "join"]?.members ?? [] {
            guard let room = try? RoomID(name) else { continue }
            update.timelines[room] = try join(room, view, in: connection)
        }
        for (name, view) in response["rooms", "invite"]?.members ?? [] {
            guard let room = try? RoomID(name) else { continue }
            try invite(room, view, in: connection)
        }
        for (name, view) in response["rooms", "leave"]?.members ?? [] {
            guard let room = try? RoomID(name) else { continue }
            try leave(room, view, in: connection)
        }
        for event in response["account_data", "events"]?.elements ?? [] where event["type"]?.string == "m.direct" {
            try store.setValue(event["content"]?.value, "m.direct", in: connection)
        }
        try store.setSyncToken(token, in: connection)
        return update
    }

    private func join(
        _ room: RoomID, _ view: JSONView, in connection: any SQLConnection
    ) throws -> ClientUpdate.Timeline {
        var summary = try store.room(room, in: connection) ?? RoomSummary(room: room, membership: "join")
        let before = summary
        let isNew = summary.membership != "join"
        if before.membership == "invite", let inviter = before.inviter.flatMap({ try? UserID($0) }) {
            try machine.noteAcceptedInvite(to: room, from: inviter, in: connection)
        }
        summary.membership = "join"
        let events = view["timeline", "events"]?.elements ?? []
        let isLimited = view["timeline", "limited"]?.bool ?? false
        if isLimited { try leap(room, view, in: connection) }
        for event in view["state", "events"]?.elements ?? [] {
            try note(event, &summary, in: connection)
        }
        var joined: [UserID] = []
        for event in events {
            if try isJoin(event, of: room, in: connection), let user = event["state_key"]?.string {
                joined += [try UserID(user)]
            }
            if event["type"]?.string == "m.room.encrypted", event["sender"]?.string == machine.user.text {
                try machine.noteOwnEvent(event, in: room, after: joined, connection)
            }
            try rotate(at: event, room, in: connection)
            try note(event, &summary, in: connection)
        }
        if isNew || summary != before || before == RoomSummary(room: room, membership: "join") {
            try store.save(summary, in: connection)
        }
        return ClientUpdate.Timeline(
            events: events, gap: isLimited ? view["timeline", "prev_batch"]?.string : nil)
    }

    /// In a gap anybody may have come and gone: who has is not joined now, and the state says so. A first answer has all
    /// of it, not what has changed. A message of ours may lie in the gap, too, that this store knows nothing of.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mmegolmv1aes-sha2>
    private func leap(_ room: RoomID, _ view: JSONView, in connection: any SQLConnection) throws {
        let events = (view["state", "events"]?.elements ?? []) + (view["timeline", "events"]?.elements ?? [])
        let mayHaveLeft = events.contains {
            $0["type"]?.string == "m.room.member" && $0["state_key"] != nil
                && $0["content", "membership"]?.string != "join"
        }
        if isFirst || mayHaveLeft { return try machine.discardRoomKey(of: room, in: connection) }
        try machine.doubtRoomKey(of: room, before: view["timeline", "prev_batch"]?.string, in: connection)
    }

    /// Whoever leaves may have been given the room's key, also by others: the next message needs another.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mmegolmv1aes-sha2>
    private func rotate(at event: JSONView, _ room: RoomID, in connection: any SQLConnection) throws {
        guard event["type"]?.string == "m.room.member", event["state_key"]?.string != nil,
            let membership = event["content", "membership"]?.string, !["join", "invite", "knock"].contains(membership)
        else { return }
        try machine.discardRoomKey(of: room, in: connection)
    }

    /// Whether somebody joins by this event, who was not in the room before.
    private func isJoin(_ event: JSONView, of room: RoomID, in connection: any SQLConnection) throws -> Bool {
        guard event["type"]?.string == "m.room.member", event["content", "membership"]?.string == "join",
            let user = event["state_key"]?.string, (try? UserID(user)) != nil, user != machine.user.text
        else { return false }
        return try store.membership(of: user, in: room, connection) != "join"
    }

    private func invite(_ room: RoomID, _ view: JSONView, in connection: any SQLConnection) throws {
        let before = try store.room(room, in: connection)
        var summary = before ?? RoomSummary(room: room, membership: "invite")
        // Whoever is invited has left before, as far as this device saw of it.
        if before?.membership == "join" { try forgetMembers(of: room, in: connection) }
        for event in view["invite_state", "events"]?.elements ?? [] {
            if event["type"]?.string == "m.room.member", event["state_key"]?.string == machine.user.text {
                summary.inviter = event["sender"]?.string
            } else {
                try note(event, &summary, in: connection)
            }
        }
        summary.membership = "invite"
        try store.save(summary, in: connection)
    }

    private func leave(_ room: RoomID, _ view: JSONView, in connection: any SQLConnection) throws {
        // One that is not known, or was forgotten, is no loss.
        guard var summary = try store.room(room, in: connection) else { return }
        summary.membership = "leave"
        try forgetMembers(of: room, in: connection)
        try store.save(summary, in: connection)
    }

    /// Who comes back is told of all members anew, and whoever was there meanwhile gets no key of before.
    private func forgetMembers(of room: RoomID, in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM members WHERE room_id = \(room.text)")
        try machine.discardRoomKey(of: room, in: connection)
    }

    /// Takes in one state event; others are passed over.
    func note(_ event: JSONView, _ summary: inout RoomSummary, in connection: any SQLConnection) throws {
        guard let key = event["state_key"]?.string, let content = event["content"] else { return }
        switch event["type"]?.string {
        case "m.room.member":
            guard (try? UserID(key)) != nil, let membership = content["membership"]?.string else { return }
            try store.setMember(key, String(membership.prefix(16)), of: summary.room, in: connection)
        case "m.room.encryption" where key.isEmpty:
            // Encryption is never turned off again: a server could otherwise make us speak in the clear.
            if content["algorithm"]?.string != nil { summary.encryption = content.value }
        case "m.room.name" where key.isEmpty:
            summary.name = content["name"]?.string.flatMap { $0.isEmpty ? nil : String($0.prefix(255)) }
        case "m.room.canonical_alias" where key.isEmpty:
            summary.alias = content["alias"]?.string.map { String($0.prefix(255)) }
        case "m.room.history_visibility" where key.isEmpty:
            summary.historyVisibility = content["history_visibility"]?.string.map { String($0.prefix(32)) }
        case "m.room.join_rules" where key.isEmpty:
            summary.joinRule = content["join_rule"]?.string.map { String($0.prefix(32)) }
        default:
            return
        }
    }
}
