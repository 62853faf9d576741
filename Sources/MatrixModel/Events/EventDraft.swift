public import Cryptography

/// An event that is being written: what its author says. `seal` adds its place in the room, hash, signature and id.
public struct EventDraft: Sendable, Hashable {
    /// What the event is about.
    public var type: EventType
    /// Who sends it.
    public var sender: UserID
    /// `nil` for an event that is no state.
    public var stateKey: String?
    /// What it says.
    public var content: JSONValue
    /// `nil` only for the create event of a room of version 12, whose id follows from it.
    public var roomID: RoomID?
    /// The event to redact; written where the room version has it.
    public var redacts: EventID?
    /// For how long the event is sticky; nil for one that is not.
    public var stickyMilliseconds: Int64?

    /// An event with what its author says.
    public init(
        type: EventType, sender: UserID, stateKey: String? = nil, content: JSONValue, roomID: RoomID?,
        redacts: EventID? = nil
    ) {
        self.type = type
        self.sender = sender
        self.stateKey = stateKey
        self.content = content
        self.roomID = roomID
        self.redacts = redacts
    }

    /// The finished event. Deterministic: the same arguments give the same event.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#adding-hashes-and-signatures-to-outgoing-events>
    /// - Parameters:
    ///   - prev: the room's forward extremities, at most 20.
    ///   - auth: the events that allow this one, as `authEventKeys` names them, at most 10.
    ///   - depth: one more than the greatest of `prev`; the version's greatest depth at most.
    ///   - timestamp: milliseconds since 1970.
    ///   - referenceHashes: of all in `prev` and `auth`; needed in room versions 1 and 2 only. An empty one is left out.
    /// - Throws: `MalformedEvent` where the event breaks the format: too large, a field too long, a fraction in its content.
    public func seal(
        version: RoomVersion, prev: [EventID], auth: [EventID], depth: Int64, timestamp: Int64, server: ServerName,
        keyID: String, key: Ed25519.SigningKey, referenceHashes: [EventID: [UInt8]] = [:]
    ) throws(MalformedEvent) -> PDU {
        let rules = version.rules
        var event: JSONValue = .object([
            "type": .string(type.text), "sender": .string(sender.text), "content": content,
            "depth": .integer(min(depth, rules.maximumDepth)), "origin_server_ts": .integer(timestamp),
            "prev_events": try references(to: prev, rules: rules, hashes: referenceHashes),
            "auth_events": try references(to: auth, rules: rules, hashes: referenceHashes),
        ])
        if let stateKey { event["state_key"] = .string(stateKey) }
        if let roomID, !(rules.roomIDIsCreateEventHash && type == .create) { event["room_id"] = .string(roomID.text) }
        if let stickyMilliseconds {
            event[StickyEvent.field] = .object(["duration_ms": .integer(stickyMilliseconds)])
        }
        if let redacts {
            switch rules.redactsLocation {
            case .topLevel: event["redacts"] = .string(redacts.text)
            case .content: event["content"] = content.setting("redacts", to: .string(redacts.text))
            }
        }
        if rules.eventIDIsSent {
            // Any text will do that no other event of this server has; the hash of all the rest is one.
            let hash = SHA256.hash(try canonical(event, rules))
            event["event_id"] = .string("$\(Base64.encode(hash, .urlSafeUnpadded)):\(server.text)")
        }
        let hash = ContentHash.compute(try document(event, rules).root)
        event["hashes"] = .object(["sha256": .string(Base64.encode(hash, .standardUnpadded))])
        let signedBytes = EventSignatures.signedBytes(of: try document(event, rules).root, rules: rules)
        let signature = Base64.encode(key.sign(signedBytes), .standardUnpadded)
        event["signatures"] = .object([server.text: .object([keyID: .string(signature)])])
        return try PDU(parsing: try canonical(event, rules), version: version)
    }

    private func references(
        to events: [EventID], rules: RoomVersionRules, hashes: [EventID: [UInt8]]
    ) throws(MalformedEvent) -> JSONValue {
        guard rules.eventIDIsSent else { return .array(events.map { .string($0.text) }) }
        var pairs: [JSONValue] = []
        for id in events {
            guard let hash = hashes[id] else {
                throw MalformedEvent(.badFormat, "in this room version references need the reference hash")
            }
            // Other servers leave hashes out that they did not keep; an empty one stands for that.
            let hashes: JSONValue =
                hash.isEmpty ? .object([:]) : .object(["sha256": .string(Base64.encode(hash, .standardUnpadded))])
            pairs.append(.array([.string(id.text), hashes]))
        }
        return .array(pairs)
    }

    private func canonical(_ event: JSONValue, _ rules: RoomVersionRules) throws(MalformedEvent) -> [UInt8] {
        do throws(JSONError) {
            return try CanonicalJSON.encode(event, strict: rules.strictCanonicalJSON)
        } catch {
            throw MalformedEvent(error)
        }
    }

    private func document(_ event: JSONValue, _ rules: RoomVersionRules) throws(MalformedEvent) -> JSONDocument {
        do throws(JSONError) {
            return try JSONDocument(try CanonicalJSON.encode(event, strict: rules.strictCanonicalJSON))
        } catch {
            throw MalformedEvent(error)
        }
    }
}

extension JSONValue {
    func setting(_ key: String, to value: JSONValue) -> JSONValue {
        var copy = self
        copy[key] = value
        return copy
    }
}
