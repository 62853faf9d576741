internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Sends the events that users want to be sent, after the checks that only their own server makes.
struct EventDelivery: Sendable {
    let writer: RoomWriter
    let memberships: MembershipEditing

    /// Sends an event.
    /// - Parameters:
    ///   - origin: device and transaction id, so that a repeated request gets the first event.
    ///   - timestamp: milliseconds since 1970, where an application service sets it.
    /// - Throws: `MatrixError`, `DatabaseError`.
    func send(_ wish: EventWish, origin: SendOrigin?, timestamp: Int64?) async throws -> EventID {
        if let stateKey = wish.stateKey { return try await setState(wish, stateKey, origin, timestamp) }
        var content = wish.content
        var redacts: EventID?
        if wish.type == .redaction {
            // From v1.18 in every room version; below 11 the server moves the field.
            guard let target = content["redacts"]?.string else {
                throw MatrixError(.missingParameter, "Missing redacts")
            }
            do { redacts = try EventID(target) } catch {
                throw MatrixError(.invalidParameter, "redacts is not an event ID")
            }
            content["redacts"] = nil
        }
        try await checkRelation(wish, origin)
        var draft = EventDraft(
            type: wish.type, sender: wish.sender, content: content, roomID: wish.room, redacts: redacts)
        draft.stickyMilliseconds = wish.sticky
        return try await writer.send(draft, origin: origin, timestamp: timestamp).id
    }

    private func setState(
        _ wish: EventWish, _ stateKey: String, _ origin: SendOrigin?, _ timestamp: Int64?
    ) async throws -> EventID {
        if wish.type == .canonicalAlias { try await checkAliases(wish.content, wish.room) }
        if wish.type == .member, wish.content["membership"]?.string == "invite" {
            guard let target = try? UserID(stateKey) else {
                throw MatrixError(.badJSON, "The state key is not a user ID")
            }
            return try await memberships.invite(
                target, to: wish.room, by: wish.sender, content: wish.content, origin: origin, timestamp: timestamp)
        }
        if wish.type == .member, stateKey != wish.sender.text {
            try await writer.reader.waitUntilWhole(wish.room, writer.environment.clock)
        }
        var draft = EventDraft(
            type: wish.type, sender: wish.sender, stateKey: stateKey, content: wish.content, roomID: wish.room)
        draft.stickyMilliseconds = wish.sticky
        return try await writer.send(draft, origin: origin, timestamp: timestamp).id
    }

    // MARK: Checks

    /// A thread's root does not itself relate to another event, and nobody annotates the same twice.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#validation-of-mthread-relationships>
    private func checkRelation(_ wish: EventWish, _ origin: SendOrigin?) async throws {
        guard let document = try? JSONDocument(wish.content.serialized()), let relation = Relation(document.root)
        else { return }
        switch relation.type {
        case Relation.thread:
            guard let root = try await writer.reader.event(relation.target) else { return }
            if Relation(root.pdu.content) != nil {
                throw MatrixError(.unknown, "A thread cannot start at an event that relates to another")
            }
        case Relation.annotation:
            let sealer = writer.environment.sealer
            let isSecond = try await writer.environment.database.read { connection in
                try RelationStore(connection).hasAnnotation(
                    relation, type: wish.type, by: wish.sender, sealer: sealer)
                    && origin.map { try ReplyLog(connection).response(to: $0) == nil } ?? true
            }
            if isSecond { throw MatrixError(.duplicateAnnotation, "This event is annotated so already") }
        default: return
        }
    }

    /// Aliases that are new to the canonical alias must name this room.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-8>
    private func checkAliases(_ content: JSONValue, _ room: RoomID) async throws {
        var texts: [String] = []
        if let alias = content["alias"], !alias.isNull {
            guard let text = alias.string else { throw MatrixError(.badJSON, "alias is not a string") }
            if !text.isEmpty { texts.append(text) }
        }
        if let others = content["alt_aliases"], !others.isNull {
            guard let list = others.array, list.allSatisfy({ $0.string != nil }) else {
                throw MatrixError(.badJSON, "alt_aliases is not a list of strings")
            }
            texts += list.compactMap(\.string)
        }
        guard !texts.isEmpty, let record = try await writer.reader.record(room) else { return }
        let current = try await writer.reader.stateEvent(record, .canonicalAlias)
        let known = current.map { CanonicalAlias($0.pdu) }
        let old = Set((known?.alternatives ?? []) + [known?.alias].compactMap(\.self))
        for text in texts.prefix(writer.environment.configuration.limits.aliasesPerRoom) {
            guard let alias = try? RoomAlias(text) else {
                throw MatrixError(.invalidParameter, "\(text) is not a room alias")
            }
            if old.contains(alias) { continue }
            guard try await target(of: alias) == room else {
                throw MatrixError(.badAlias, "\(text) does not name this room")
            }
        }
    }

    private func target(of alias: RoomAlias) async throws -> RoomID? {
        if alias.serverName == writer.environment.serverName {
            return try await writer.environment.database.read { try AliasStore($0).target(of: alias)?.room }
        }
        return try? await memberships.collaborators.remoteJoining?.resolve(alias).room
    }
}
